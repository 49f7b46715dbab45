#![allow(non_camel_case_types)]

use gae_tasks::{Client, Task};
use serde::{Deserialize, Serialize};

mod shop {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Pair<T>(pub T, pub T);

    pub mod r#type {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub struct r#struct {
            pub r#fn: u8,
        }

        #[gae_tasks::deferred]
        impl r#struct {
            #[gae_tasks::deferred]
            pub async fn r#match(&self, r#in: u8) {
                assert_eq!((self.r#fn, r#in), (1, 2));
            }
        }
    }
}

// Each `impl` of a generic type has tasks of its own.
#[gae_tasks::deferred]
impl shop::Pair<u64> {
    #[gae_tasks::deferred]
    pub fn add(&self, more: Self, #[default(Self::one())] _: Self) {
        assert_eq!(self.0 + self.1 + more.0 + more.1, 10);
    }

    fn one() -> Self {
        Self(1, 1)
    }
}

#[gae_tasks::deferred]
impl shop::Pair<String> {
    #[gae_tasks::deferred(task = Join, args = JoinArgs, name = "pair/join")]
    pub fn add(&self, more: Self) {
        assert_eq!(format!("{}{}{}", self.0, self.1, more.0), "abc");
    }
}

#[derive(Serialize, Deserialize)]
struct Made(u8);

macro_rules! made {
    ($ty:ident, $name:ident, $parameter:ident: $of:ty, $expected:expr) => {
        #[gae_tasks::deferred(crate = ::gae_tasks)]
        impl $ty {
            #[gae_tasks::deferred(queue = "made")]
            async fn $name(&self, $parameter: $of, like: Self) {
                assert_eq!((self.0 + like.0, $parameter), $expected);
            }
        }
    };
}

made!(Made, work, values: Vec<u8>, (3, vec![1]));

#[cfg(any())]
struct Gone;

#[gae_tasks::deferred]
#[cfg(any())]
impl Gone {
    #[gae_tasks::deferred]
    pub fn send(&self, value: NoSuchType) {}
}

#[gae_tasks::deferred]
impl Made {
    #[cfg(any())]
    #[gae_tasks::deferred]
    fn gone(&self, value: NoSuchType) {}

    #[gae_tasks::deferred]
    #[cfg(any())]
    fn gone_too(&self, value: NoSuchType) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    #[derive(Serialize, Deserialize)]
    struct Local;

    #[gae_tasks::deferred]
    impl Local {
        #[gae_tasks::deferred]
        async fn of_none() {}

        #[gae_tasks::deferred]
        fn of_a_unit(&self) {}
    }

    let tasks = Client::open("memory:").await.unwrap();
    let pair = shop::Pair(1_u64, 2);
    let texts = || shop::Pair("a".to_owned(), "b".to_owned());
    for task in [
        shop::r#type::r#struct { r#fn: 1 }.defer_match(2),
        pair.defer_add(shop::Pair(3, 4), shop::Pair(0, 0)),
        texts().defer_add(shop::Pair("c".to_owned(), String::new())),
        Made(1).defer_work(vec![1], Made(2)),
        Local::defer_of_none(),
        Local.defer_of_a_unit(),
    ] {
        assert_eq!(tasks.run(task).await.unwrap(), 1);
    }
    assert!(shop::r#type::StructMatch::KIND.ends_with(".shop.type/struct.match"));
    assert!(PairAdd::KIND.ends_with("/Pair.add"));
    assert_eq!((Join::KIND, MadeWork::QUEUE), ("pair/join", "made"));
}
