use gae_tasks::deferred;

#[deferred]
async fn work(a: Option<String>, b: Vec<String>) {
    println!("{a:?}{b:?}");
}

// If these parameters were `impl Into<_>` or iterators, none of these types would be inferred.
fn main() {
    drop(work::defer(None, vec![]));
    drop(work::defer(Default::default(), Vec::new()));
    drop(work::defer(Some("a".into()), vec!["a".into(), "b".to_owned()]));
    drop(work::defer(Some("a").map(Into::into), ["a", "b"].into_iter().map(Into::into).collect()));
}
