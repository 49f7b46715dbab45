//! Values that JSON holds, and those that it does not.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::payload::remedy::NULL_IN_SOME;

/// The text, or the error.
fn text<T: Serialize>(value: T) -> Result<String, String> {
    let text = serde_json::to_value(Json(value)).map_err(|error| error.to_string())?;
    Ok(text.as_str().unwrap().to_owned())
}

#[derive(Serialize, Deserialize)]
struct Reading {
    name: &'static str,
    value: Option<f64>,
    more: More,
}

#[derive(Serialize, Deserialize)]
enum More {
    None,
    One(f32),
    Two(u8, f64),
    Named { at: f64 },
}

#[test]
fn numbers_that_json_does_not_have_are_refused_wherever_they_are() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = Err(NOT_FINITE.to_owned());
        let reading = |value, more| Reading { name: "null", value, more };
        assert_eq!(text(number), refused);
        assert_eq!(text(number as f32), refused);
        assert_eq!(text(vec![(1_u8, [Some(number)])]), refused);
        assert_eq!(text(BTreeMap::from([("null", number)])), refused);
        assert_eq!(text(reading(Some(number), More::None)), refused);
        assert_eq!(text(reading(None, More::One(number as f32))), refused);
        assert_eq!(text(reading(None, More::Two(1, number))), refused);
        assert_eq!(text(reading(None, More::Named { at: number })), refused);
    }
}

/// JSON has one null: `Some(None)` would be read back as `None`.
#[test]
fn some_of_a_null_is_refused_wherever_it_is() {
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct Wraps<T>(T);
    #[derive(Serialize)]
    enum Choice<T> {
        One(T),
        Two(u8, T),
        Named { it: T },
    }
    let (none, refused) = (Some(None::<u8>), Err(NULL_IN_SOME.to_owned()));
    assert_eq!(text(none), refused);
    assert_eq!(text(Some(())), refused);
    assert_eq!(text(Some(Unit)), refused);
    assert_eq!(text(Some(serde_json::Value::Null)), refused);
    assert_eq!(text(Some(Some(none))), refused);
    assert_eq!(text(Some(Wraps(None::<u8>))), refused);
    assert_eq!(text(vec![(1_u8, none)]), refused);
    assert_eq!(text(BTreeMap::from([("it", none)])), refused);
    assert_eq!(text(Choice::One(none)), refused);
    assert_eq!(text(Choice::Two(1, none)), refused);
    assert_eq!(text(Choice::Named { it: none }), refused);
}

/// Each is read back as itself.
#[test]
fn other_options_are_kept() {
    #[derive(Serialize)]
    enum Choice<T> {
        One(T),
    }
    assert_eq!(text(None::<Option<u8>>).as_deref(), Ok("null"));
    assert_eq!(text(Some(Some("null"))).as_deref(), Ok(r#""null""#));
    assert_eq!(text(Some([None::<u8>])).as_deref(), Ok("[null]"));
    assert_eq!(text(Some(Choice::One(None::<u8>))).as_deref(), Ok(r#"{"One":null}"#));
}

#[test]
fn nulls_of_other_values_are_kept() {
    let reading = Reading { name: "null", value: None, more: More::Two(1, 0.5) };
    let kept = r#"{"name":"null","value":null,"more":{"Two":[1,0.5]}}"#;
    assert_eq!(text(reading).as_deref(), Ok(kept));
    assert_eq!(text(serde_json::json!([null, 1.5])).as_deref(), Ok("[null,1.5]"));
    assert_eq!(text((None::<f64>, (), Some(0.5))).as_deref(), Ok("[null,null,0.5]"));
}

#[test]
fn keys_that_json_cannot_write_are_refused() {
    assert_eq!(text(BTreeMap::from([((1_u8, 2_u8), 3_u8)])), Err(NOT_A_KEY.to_owned()));
    assert_eq!(text(BTreeMap::from([(1_u8, 3_u8)])).as_deref(), Ok(r#"{"1":3}"#));
}

/// A key that is a float.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Float;

impl Serialize for Float {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::NAN)
    }
}

#[test]
fn so_are_keys_that_are_not_finite() {
    assert_eq!(text(BTreeMap::from([(Float, 3_u8)])), Err(NOT_FINITE.to_owned()));
}
