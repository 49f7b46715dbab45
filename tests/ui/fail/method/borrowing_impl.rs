use gae_tasks::deferred;

struct Invoice<'a> {
    to: &'a str,
}

#[deferred]
impl<'a> Invoice<'a> {
    #[deferred]
    async fn send(&self) {
        println!("{}", self.to);
    }
}

#[deferred]
impl Invoice<'_> {
    #[deferred]
    fn archive(self) {
        println!("{}", self.to);
    }
}

fn main() {
    drop(Invoice { to: "you" }.defer_send());
    drop(Invoice { to: "you" }.defer_archive());
}
