//! Enums: variants by name, in the four representations.

use super::*;

fn s(text: &str) -> String {
    text.to_owned()
}

pairs! {
    mod swapped:
        enum Before { Suspend(u8), Delete(u8) } => enum After { Delete(u8), Suspend(u8) }
        Before::Suspend(1) => Is(After::Suspend(1));
        Before::Delete(2) => Is(After::Delete(2));
    mod added:
        enum Before { A, B } => enum After { A, B, C }
        Before::B => Is(After::B);
    mod inserted:
        enum Before { A, B(u8) } => enum After { A, New, B(u8) }
        Before::B(1) => Is(After::B(1));
    mod removed:
        enum Before { A, B(u8), C } => enum After { A, C }
        Before::C => Is(After::C);
        Before::B(1) => Fails::<After>("::B` is a variant that is not known here");
    mod removed_all:
        enum Before { A, B } => enum After { C, D }
        Before::A => Waits::<After>("none of its variants is known here");
    mod renamed:
        enum Before { A, B } => enum After { A, C }
        Before::A => Is(After::A);
        Before::B => Fails::<After>("::B` is a variant that is not known here");
    mod renamed_with_alias:
        enum Before { A, B(u8) } => enum After { A, #[serde(alias = "B")] C(u8) }
        Before::B(1) => Is(After::C(1));
    mod merged_with_aliases:
        enum Before { A(u8), B(u8), C } =>
            enum After { C, #[serde(alias = "A", alias = "B")] D(u16) }
        Before::A(1) => Is(After::D(1));
        Before::B(2) => Is(After::D(2));
        Before::C => Is(After::C);
    mod merged_into_one_of_them:
        enum Before { A, B } => enum After { #[serde(alias = "A")] B }
        Before::A => Is(After::B);
        Before::B => Is(After::B);
    mod merged_though_one_is_of_another_type:
        enum Before { A(u8), B(String) } => enum After { #[serde(alias = "A", alias = "B")] C(u8) }
        Before::A(1) => Waits::<After>("::B`: was a String, is a u8");
    mod split:
        enum Before { #[serde(alias = "B")] A } => enum After { A, B }
        Before::A => Waits::<After>("is a name of more than one");
    mod renamed_with_attribute:
        enum Before { A, B } =>
            #[serde(rename_all = "lowercase")]
            enum After { #[serde(rename = "A")] X, #[serde(rename = "B")] Y }
        Before::B => Same(After::Y);
    mod other:
        enum Before { A, B } => enum After { A, #[serde(other)] Other }
        Before::A => Is(After::A);
        Before::B => Is(After::Other);
    mod other_with_content:
        enum Before { A, B(u8) } => enum After { A, #[serde(other)] Other }
        Before::B(1) => Fails::<After>("::B` was a u8, is read as a unit");
    mod widened:
        enum Before { A(u8) } => enum After { A(u64) }
        Before::A(1) => Is(After::A(1));
    mod narrowed:
        enum Before { A(u64), B } => enum After { A(u8), B }
        Before::A(1) => Is(After::A(1));
        Before::A(256) => Fails::<After>("::A` holds a number that is out of the range of u8");
    mod content_changed:
        enum Before { A(u8), B } => enum After { A(String), B }
        Before::B => Waits::<After>("::A`: was a u8, is a String");
    mod content_added:
        enum Before { A, B } => enum After { A(u8), B }
        Before::B => Waits::<After>("::A`: was a (), is a u8");
    mod content_removed:
        enum Before { A(u8), B } => enum After { A, B }
        Before::B => Waits::<After>("::A`: was a u8, is a ()");
    mod optional_content_added:
        enum Before { A, B } => enum After { A(Option<u8>), B }
        Before::A => Waits::<After>("::A`: was a (), is an Option");
    mod field_added:
        enum Before { A { x: u8 } } => enum After { A { #[serde(default)] y: u8, x: u8 } }
        Before::A { x: 1 } => Is(After::A { x: 1, y: 0 });
    mod field_added_without_default:
        enum Before { A { x: u8 }, B } => enum After { A { y: u8, x: u8 }, B }
        Before::B => Is(After::B);
        Before::A { x: 1 } => Fails::<After>("::A.y` is missing from the stored payload");
    mod field_removed:
        enum Before { A { x: u8, y: u8 }, B } => enum After { A { x: u8 }, B }
        Before::B => Waits::<After>("::A.y` is not known here");
    mod fields_swapped:
        enum Before { A { x: u8, y: u8 } } => enum After { A { y: u8, x: u8 } }
        Before::A { x: 1, y: 2 } => Is(After::A { x: 1, y: 2 });
    mod newtype_to_tuple:
        enum Before { A(u8) } => enum After { A(u8, u8) }
        Before::A(1) => Waits::<After>("::A`: was a u8, is an array of 2");
    mod tuple_to_struct:
        enum Before { A(u8, bool) } => enum After { A { x: u8, y: bool } }
        Before::A(1, true) => Waits::<After>("::A`: was a tuple of 2, is a struct");
    mod tuple_to_tuple:
        enum Before { A(u8, bool) } => enum After { A(u16, bool) }
        Before::A(1, true) => Is(After::A(1, true));
    mod variant_to_newtype_of_struct:
        enum Before { A { x: u8, y: u8 } } => enum After { A(Point) }
        Before::A { x: 1, y: 2 } => Same(After::A(Point { x: 1, y: 2 }));
    mod variant_to_newtype_of_other_struct:
        enum Before { A { y: u8, x: u8 } } => enum After { A(Point) }
        Before::A { x: 1, y: 2 } => Is(After::A(Point { x: 1, y: 2 }));
    mod to_text:
        enum Before { A, B } => struct After(String);
        Before::A => Waits::<After>("was an enum, is a String");
    mod from_text:
        struct Before(String); => enum After { A, B }
        Before(s("A")) => Waits::<After>("was a String, is an enum");
    mod to_option:
        enum Before { A, B } => struct After(Option<Either>);
        Before::B => Is(After(Some(Either::B)));
    mod from_option:
        struct Before(Option<Either>); => enum After { A, B, C }
        Before(Some(Either::B)) => Is(After::B);
        Before(None) => Fails::<After>("holds no value");
    mod result:
        struct Before(Result<u8, String>); => struct After(Result<u64, Box<str>>);
        Before(Ok(1)) => Is(After(Ok(1)));
        Before(Err(s("x"))) => Is(After(Err("x".into())));
    mod bound:
        struct Before(std::ops::Bound<u8>); => struct After(std::ops::Bound<u16>);
        Before(std::ops::Bound::Excluded(1)) => Is(After(std::ops::Bound::Excluded(1)));
        Before(std::ops::Bound::Unbounded) => Is(After(std::ops::Bound::Unbounded));
    mod recursive:
        enum Before { Sum(Box<Before>, Box<Before>), Number(u8) } =>
            enum After { Number(u64), Not, Sum(Box<After>, Box<After>) }
        Before::Sum(Before::Number(1).into(), Before::Number(2).into()) =>
            Is(After::Sum(After::Number(1).into(), After::Number(2).into()));
    mod keys:
        #[derive(Eq, PartialOrd, Ord)] enum Before { A, B } =>
            #[derive(Eq, PartialOrd, Ord)] enum After { B, A }
        BTreeMap::from([(Before::B, 1_u8)]) => Is(BTreeMap::from([(After::B, 1_u16)]));
    mod ip_addresses:
        struct Before(std::net::IpAddr); => struct After(Option<std::net::IpAddr>);
        Before([1, 2, 3, 4].into()) => Is(After(Some([1, 2, 3, 4].into())));
    mod ip_address_of_one_sort:
        struct Before(std::net::Ipv4Addr); => struct After(std::net::IpAddr);
        Before([1, 2, 3, 4].into()) => Waits::<After>("was an array of 4, is an enum");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: u8,
    y: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Either {
    A,
    B,
}

/// The representations that ask what comes next are texts of JSON here: their edits are JSON's.
#[cfg(feature = "json")]
mod within_json {
    use super::super::Expected::{Fails, Is, Same};
    use super::super::{Expected, Variant, expect};
    use super::*;
    use crate::Json;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t")]
    enum Internal {
        A { x: u8 },
        B,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        A(u8),
        B,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        A { x: u64 },
        B(u64),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Other {
        B(u64),
        A { x: u64, y: Option<u8> },
    }

    /// A text of JSON cannot be guessed, so it cannot stand before another element of a tuple.
    fn becomes<B, A>(before: B, expected: Expected<A>)
    where
        B: Serialize + DeserializeOwned + Debug + Clone,
        A: DeserializeOwned + Debug + PartialEq + Clone,
    {
        expect(&before, &expected);
        let one = Variant::Named { it: vec![before], after: None };
        expect(&one, &expected.map(|it| Variant::Named { it: vec![it], after: None }));
    }

    #[test]
    fn enums_are_resolved_by_json() {
        becomes(Json(Internal::A { x: 1 }), Same(Json(Internal::A { x: 1 })));
        becomes(Json(Adjacent::A(1)), Same(Json(Adjacent::A(1))));
        becomes(Json(Untagged::A { x: 1 }), Same(Json(Other::A { x: 1, y: None })));
        becomes(Json(Untagged::B(1)), Same(Json(Other::B(1))));
        let refused: Expected<Json<Internal>> = Fails("its type refuses the value");
        becomes(Json(Adjacent::A(1)), refused);
        let optional: Expected<Option<Json<Internal>>> = Is(Some(Json(Internal::B)));
        becomes(Json(Internal::B), optional);
    }
}
