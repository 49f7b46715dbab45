use gae_tasks::deferred;

type Text = String;

#[deferred]
async fn work(a: String, b: std::string::String, c: ::std::string::String, d: Text, e: Option<String>) {
    println!("{a}{b}{c}{d}{e:?}");
}

fn main() {
    let owned = "b".to_owned();
    drop(work::defer("a", owned, &String::from("c"), "d".to_owned(), None));
    drop(work::defer('a', Box::<str>::from("b"), std::borrow::Cow::Borrowed("c"), Text::new(), Some("e".into())));
}
