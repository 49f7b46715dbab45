//! What types ask for, as the readable form of their schemas.

mod crates;
mod derived;
mod golden;
mod refused;
mod standard;

use serde::de::DeserializeOwned;

use super::*;

/// The schema of one parameter, without its name; or why there is none.
fn text<T: DeserializeOwned>() -> String {
    match schema::<T>() {
        Ok(schema) => {
            let text = schema.to_string();
            assert_eq!(Schema::from_bytes(schema.as_bytes()).as_ref(), Ok(&schema), "{text}");
            text["(p: ".len()..text.len() - 1].to_owned()
        }
        Err(error) => error.to_string(),
    }
}

fn schema<T: DeserializeOwned>() -> Result<Schema, UnreadableError> {
    Tracer::schema(|tracer| tracer.parameter::<T>("p"))
}

/// Types beside their schemas.
macro_rules! table {
    ($($ty:ty => $text:expr;)*) => {
        $(assert_eq!(text::<$ty>(), $text, "{}", stringify!($ty));)*
    };
}
use table;

#[test]
fn parameters_are_traced_one_by_one_and_share_what_they_have_in_common() {
    let both = Tracer::schema(|tracer| {
        tracer.parameter::<Option<std::time::Duration>>("one")?;
        tracer.parameter::<Vec<std::time::Duration>>("other")
    });
    let text = both.unwrap().to_string();
    assert_eq!(text, "(one: Option<#1 {secs: u64, nanos: u32}>, other: Vec<#1>)");
    assert_eq!(Tracer::schema(|_| Ok(())).unwrap().to_string(), "()");
}

#[test]
fn a_type_is_the_same_however_often_it_is_traced() {
    let once = schema::<derived::Order>().unwrap();
    for _ in 0..3 {
        assert_eq!(schema::<derived::Order>().unwrap(), once);
    }
}
