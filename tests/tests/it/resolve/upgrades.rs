//! Upgrade functions: which of them is called is decided by the schemas, never by the value.

use super::stage::{World, reason, versions};

versions! {
    split {
        #[deferred(name = "rolling/split")]
        pub async fn task(name: String, #[state] ran: &Ran) {
            ran.note(format!("old: {name}"));
        }
    } => {
        #[derive(Deserialize)]
        struct V1 { name: String }

        fn from_v1(old: V1) -> Result<TaskArgs, &'static str> {
            let (first, last) = old.name.split_once(' ').ok_or("one word")?;
            Ok(TaskArgs { first: first.into(), last: last.into() })
        }

        #[deferred(name = "rolling/split", upgrade = from_v1)]
        pub async fn task(first: String, last: String, #[state] ran: &Ran) {
            ran.note(format!("new: {first}, {last}"));
        }
    }

    panicking {
        #[deferred(name = "rolling/panicking")]
        pub async fn task(name: String, #[state] ran: &Ran) {
            ran.note(format!("old: {name}"));
        }
    } => {
        #[derive(Deserialize)]
        struct V1 { name: String }

        fn from_v1(old: V1) -> TaskArgs {
            TaskArgs { number: old.name.parse().unwrap_or_else(|_| panic!("{}", old.name)) }
        }

        #[deferred(name = "rolling/panicking", upgrade = from_v1)]
        pub async fn task(number: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {number}"));
        }
    }

    exact_first {
        #[deferred(name = "rolling/exact_first")]
        pub async fn task(amount: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {amount}"));
        }
    } => {
        #[derive(Deserialize)]
        struct V1 { amount: u64 }

        #[derive(Deserialize)]
        struct Wider { amount: u128 }

        fn from_v1(old: V1) -> TaskArgs {
            TaskArgs { cents: old.amount * 100 }
        }

        fn from_wider(old: Wider) -> TaskArgs {
            TaskArgs { cents: old.amount as u64 + 1_000_000 }
        }

        #[deferred(name = "rolling/exact_first", upgrade = [from_wider, from_v1])]
        pub async fn task(#[alias("amount")] cents: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {cents}"));
        }
    }

    function_before_upgrades {
        #[deferred(name = "rolling/function_before_upgrades")]
        pub async fn task(cents: u32, #[state] ran: &Ran) {
            ran.note(format!("old: {cents}"));
        }
    } => {
        #[derive(Deserialize)]
        struct V1 { cents: u16 }

        fn from_v1(old: V1) -> TaskArgs {
            TaskArgs { cents: u64::from(old.cents) * 100 }
        }

        #[deferred(name = "rolling/function_before_upgrades", upgrade = from_v1)]
        pub async fn task(cents: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {cents}"));
        }
    }

    in_order {
        #[deferred(name = "rolling/in_order")]
        pub async fn task(a: u32, b: u32, #[state] ran: &Ran) {
            ran.note(format!("old: {a} {b}"));
        }
    } => {
        #[derive(Deserialize)]
        struct V2 { b: u64, a: u64 }

        #[derive(Deserialize)]
        struct V1 { a: u64, b: u64 }

        fn from_v2(old: V2) -> TaskArgs {
            TaskArgs { sum: old.a + old.b }
        }

        fn from_v1(old: V1) -> TaskArgs {
            TaskArgs { sum: old.a + old.b + 1000 }
        }

        #[deferred(name = "rolling/in_order", upgrade = [from_v2, from_v1])]
        pub async fn task(sum: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {sum}"));
        }
    }

    ignoring {
        #[deferred(name = "rolling/ignoring")]
        pub async fn task(note: String, name: String, #[state] ran: &Ran) {
            ran.note(format!("old: {name} {note}"));
        }
    } => {
        #[derive(Deserialize)]
        struct V1 { name: String }

        fn from_v1(old: V1) -> TaskArgs {
            TaskArgs { length: old.name.len() }
        }

        #[deferred(name = "rolling/ignoring", upgrade = from_v1, ignores = "note")]
        pub async fn task(length: usize, #[state] ran: &Ran) {
            ran.note(format!("new: {length}"));
        }
    }

    none_fits {
        #[deferred(name = "rolling/none_fits")]
        pub async fn task(text: String, #[state] ran: &Ran) {
            ran.note(format!("old: {text}"));
        }
    } => {
        #[derive(Deserialize)]
        struct V1 { number: u64 }

        fn from_v1(old: V1) -> TaskArgs {
            TaskArgs { id: old.number }
        }

        #[deferred(name = "rolling/none_fits", upgrade = from_v1)]
        pub async fn task(id: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {id}"));
        }
    }
}

#[tokio::test]
async fn an_upgrade_of_exactly_the_old_parameters_is_called() {
    use split::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        let ran = world.resolves(old::task::defer("Ada Lovelace"), &after).await;
        assert_eq!(ran, "new: Ada, Lovelace");
    }
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_value_to_others_and_says_nothing_of_it() {
    use split::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let id = old::task::defer("Plato").on(&after).await.unwrap().id;
        old::task::defer("Ada Lovelace").on(&after).await.unwrap();
        assert_eq!(world.run(&after).await, ["new: Ada, Lovelace"], "a failure is the value's");
        let record = world.record(&after, id).await;
        assert_eq!((record.attempts, record.refusals), (0, 1));
        let error = &record.errors[0].message;
        assert!(error.contains("the upgrade `from_v1` refuses the value"), "{error}");
        assert!(!error.contains("Plato") && !error.contains("one word"), "{error}");
        assert!(reason(&after).await.contains("could not read the values"), "not all of the route");
        assert_eq!(world.run(&before).await, ["old: Plato"]);
    }
}

#[tokio::test]
async fn an_upgrade_that_panics_uses_no_attempt_and_says_nothing_of_the_value() {
    use panicking::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let id = old::task::defer("a secret").on(&before).await.unwrap().id;
        assert_eq!(world.run(&after).await, [""; 0]);
        let record = world.record(&after, id).await;
        assert_eq!((record.attempts, record.refusals), (0, 1));
        assert!(!format!("{:?}", record.errors).contains("secret"), "{:?}", record.errors);
        assert_eq!(world.run(&before).await, ["old: a secret"]);
    }
}

#[tokio::test]
async fn an_exact_upgrade_comes_before_the_function_and_before_upgrades_by_name() {
    use exact_first::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        assert_eq!(world.resolves(old::task::defer(5), &after).await, "new: 500");
    }
}

#[tokio::test]
async fn the_function_by_name_comes_before_upgrades_by_name_even_where_the_value_fits_them() {
    use function_before_upgrades::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        assert_eq!(world.resolves(old::task::defer(5), &after).await, "new: 5");
    }
}

#[tokio::test]
async fn upgrades_by_name_are_tried_in_the_order_written() {
    use in_order::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        assert_eq!(world.resolves(old::task::defer(1, 2), &after).await, "new: 3");
    }
}

#[tokio::test]
async fn what_is_ignored_is_ignored_for_upgrades_too() {
    use ignoring::{new, old};
    for world in World::each().await {
        let after = world.program::<new::task>();
        assert_eq!(world.resolves(old::task::defer("note", "Ada"), &after).await, "new: 3");
    }
}

#[tokio::test]
async fn where_no_upgrade_fits_the_difference_from_the_function_is_told() {
    use none_fits::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let why = world.waits(old::task::defer("x"), &after).await;
        assert!(why.contains("parameter `text` is not known here"), "{why}");
        assert!(why.contains("parameter `id` is missing"), "{why}");
        assert_eq!(world.run(&before).await, ["old: x"]);
    }
}
