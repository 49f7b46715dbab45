use gae_tasks::deferred;

#[deferred]
async fn send(
    #[alias("")] id: u64,
    #[alias("user")] user: String,
    #[alias("id", "subject")] text: String,
    #[alias("subject")] title: String,
    #[alias("r#type", "cc list")] kind: String,
    #[alias("old", "old")] mail: String,
) {
    _ = (id, user, text, title, kind, mail);
}

fn main() {}
