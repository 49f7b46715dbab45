//! What is said: the place and the reason, never a value.

use std::fmt;

use super::*;

/// Ways in which types refuse their values.
macro_rules! refusing {
    ($($name:ident($text:ident) $error:expr;)*) => {$(
        #[derive(Debug)]
        struct $name;

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                use serde::de::{Error, Unexpected};
                let $text = String::deserialize(from)?;
                let _ = |_: Unexpected<'_>| ();
                // When it is traced, nothing is refused.
                if $text.contains("SECRET") { Err($error) } else { Ok(Self) }
            }
        }
    )*};
}

refusing! {
    Custom(text) D::Error::custom(format!("`{text}` is no address"));
    Type(text) D::Error::invalid_type(Unexpected::Str(&text), &&*text);
    Value(text) D::Error::invalid_value(Unexpected::Other(&text), &&*text);
    Length(text) D::Error::invalid_length(text.len(), &&*text);
    UnknownVariant(text) D::Error::unknown_variant(&text, &["A"]);
    UnknownField(text) D::Error::unknown_field(&text, &["a"]);
}

#[test]
fn a_value_is_in_no_error() {
    fn check<T: DeserializeOwned + fmt::Debug>(reason: &str) {
        let before = Within { before: 1, it: vec!["SECRET".to_owned()], after: "SECRET".into() };
        let pair = resolution::<Within<Vec<String>>, Within<Vec<T>>>(&[]).unwrap();
        let error = read::<Within<Vec<T>>>(&pair, &encoded(&before)).unwrap_err();
        let (shown, debug) = (error.to_string(), format!("{error:?}"));
        assert!(!shown.contains("SECRET") && !debug.contains("SECRET"), "{shown} {debug}");
        assert_eq!(shown, format!("parameter `p.it[]` {reason}"));
    }
    check::<Custom>("its type refuses the value");
    check::<Type>("its type refuses this text");
    check::<Value>("its type refuses the value");
    check::<Length>("holds another number of elements than its type has");
    check::<UnknownVariant>("its type refuses the value");
    check::<UnknownField>("its type refuses the value");
}

#[test]
fn every_difference_is_named_and_the_first_are_shown() {
    #[derive(Serialize, Deserialize)]
    struct Before {
        a: u8,
        b: String,
        c: (),
    }
    #[derive(Serialize, Deserialize)]
    struct After {
        a: bool,
        b: Vec<u8>,
    }
    assert_eq!(
        resolution::<Before, After>(&[]).unwrap_err().to_string(),
        "field `p.c` is not known here: add `#[serde(alias = \"c\")]` to what it is called now, or \
         `ignores = [\"p.c\"]` if it may be dropped; parameter \
         `p.a`: was a u8, is a bool; parameter `p.b`: was a String, is a sequence",
    );
    let many = |of: &dyn Fn(usize) -> Node| {
        let members = (0..20)
            .map(|at| crate::payload::schema::node::Member::new(format!("p{at}"), at as u32));
        let nodes: Vec<_> = (0..20).map(of).collect();
        Schema::new(&nodes, &members.collect::<Vec<_>>()).unwrap()
    };
    let leaf = |leaf| move |_| Node::Leaf(leaf);
    let (before, after) = (
        many(&leaf(crate::payload::schema::node::Leaf::U8)),
        many(&leaf(crate::payload::schema::node::Leaf::Bool)),
    );
    let reader = Reader { schema: &after, parameters: &[], ignores: &[] };
    let words = Resolution::between(Arc::new(before), &reader).unwrap_err().to_string();
    assert!(
        words.starts_with("parameter `p0`: was a u8, is a bool; parameter `p1`: was"),
        "{words}"
    );
    assert!(words.ends_with("parameter `p7`: was a u8, is a bool; and 12 more"), "{words}");
}

#[test]
fn names_from_outside_stay_on_one_line() {
    let name = format!("a\n\u{1b}[2J{}", "x".repeat(10_000));
    let member = crate::payload::schema::node::Member::new(name, 0);
    let before =
        Schema::new(&[Node::Leaf(crate::payload::schema::node::Leaf::U8)], &[member]).unwrap();
    let reader = Reader { schema: &schema::<()>(), parameters: &[], ignores: &[] };
    let words = Resolution::between(Arc::new(before), &reader).unwrap_err().to_string();
    assert!(!words.contains(['\n', '\u{1b}']) && words.len() < 1_000, "{words}");
}
