mod grüße {
    #[gae_tasks::deferred]
    pub async fn send() {}
}

fn main() {}
