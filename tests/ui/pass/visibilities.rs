use gae_tasks::Client;

mod shop {
    pub mod emails {
        #[gae_tasks::deferred]
        pub async fn public(value: u8) {
            assert_eq!(value, 1);
        }

        #[gae_tasks::deferred]
        pub(crate) async fn of_the_crate(value: u8) {
            assert_eq!(value, 2);
        }

        #[gae_tasks::deferred]
        pub(in crate::shop) async fn of_the_shop(value: u8) {
            assert_eq!(value, 3);
        }

        #[gae_tasks::deferred]
        async fn private(value: u8) {
            assert_eq!(value, 4);
        }

        pub fn defer_private() -> gae_tasks::Defer {
            private::defer(4)
        }
    }

    pub fn defer_of_the_shop() -> gae_tasks::Defer {
        emails::OfTheShopArgs { value: 3 }.defer()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    for task in [
        shop::emails::public::defer(1),
        shop::emails::OfTheCrateArgs { value: 2 }.defer(),
        shop::defer_of_the_shop(),
        shop::emails::defer_private(),
    ] {
        assert_eq!(tasks.run(task).await.unwrap(), 1);
    }
}
