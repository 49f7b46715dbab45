//! Parameters: by name, with aliases, defaults, and paths that are ignored.

use super::*;

/// What a task was deferred with.
struct Deferred {
    schema: Arc<Schema>,
    bytes: Vec<u8>,
}

macro_rules! deferred {
    ($($name:ident: $ty:ty = $value:expr),*) => {{
        let schema = Tracer::schema(|_tracer| {
            $(_tracer.parameter::<$ty>(stringify!($name))?;)*
            Ok(())
        });
        let schema: &'static Schema = Box::leak(Box::new(schema.unwrap()));
        #[allow(unused_mut)]
        let mut encoder = Encoder::with_room(schema, 0);
        $({ let value: $ty = $value; encoder.parameter(stringify!($name), &value).unwrap(); })*
        Deferred { schema: Arc::new(schema.clone()), bytes: encoder.into_bytes() }
    }};
}

fn plain(name: &'static str) -> Parameter {
    Parameter { name, ..PLAIN }
}

fn with_default(name: &'static str) -> Parameter {
    Parameter { has_default: true, ..plain(name) }
}

fn with_alias(name: &'static str, aliases: &'static [&'static str]) -> Parameter {
    Parameter { aliases, ..plain(name) }
}

/// How a function with such parameters reads what was deferred.
macro_rules! reader {
    ($deferred:expr, [$($ignores:literal),*], $($name:ident: $ty:ty = $parameter:expr),*) => {{
        let schema = Tracer::schema(|_tracer| {
            $(_tracer.parameter::<$ty>(stringify!($name))?;)*
            Ok(())
        });
        let parameters: &[Parameter] = &[$($parameter),*];
        let reader = Reader { schema: &schema.unwrap(), parameters, ignores: &[$($ignores),*] };
        Resolution::between($deferred.schema.clone(), &reader)
    }};
}

fn waits(resolution: Result<Resolution, Difference>) -> String {
    resolution.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn they_are_found_by_name_in_any_order() {
    let deferred = deferred!(from: u64 = 1, note: String = "n".into(), to: u64 = 2);
    let resolution = reader!(
        deferred, [],
        to: u64 = plain("to"), from: u64 = plain("from"), note: String = plain("note")
    )
    .unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    assert_eq!(decoder.parameter::<u64>("to"), Ok(2));
    assert_eq!(decoder.parameter::<u64>("from"), Ok(1));
    assert_eq!(decoder.parameter::<String>("note").as_deref(), Ok("n"));
    assert_eq!(decoder.end(), Ok(()));
    let mut in_another_order = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    assert_eq!(in_another_order.parameter::<String>("note").as_deref(), Ok("n"));
    assert_eq!(in_another_order.parameter::<u64>("from"), Ok(1));
}

#[test]
fn what_the_function_does_not_know_is_not_forgotten() {
    let deferred = deferred!(id: u64 = 1, note: String = "n".into());
    assert_eq!(
        waits(reader!(deferred, [], id: u64 = plain("id"))),
        "parameter `note` is not known here: add `#[alias(\"note\")]` to what it is called now, or \
         `ignores = [\"note\"]` if it may be dropped",
    );
    let resolution = reader!(deferred, ["note"], id: u64 = plain("id")).unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    assert_eq!(decoder.parameter::<u64>("id"), Ok(1));
    assert_eq!(decoder.end(), Ok(()));
    // What is ignored is read as its schema says all the same.
    for len in 0..deferred.bytes.len() {
        let mut decoder = Decoder::resolved(&resolution, &deferred.bytes[..len]).unwrap();
        assert!(decoder.parameter::<u64>("id").and_then(|_| decoder.end()).is_err());
    }
}

#[test]
fn what_was_not_sent_has_a_default_or_is_none() {
    let deferred = deferred!(id: u64 = 1);
    assert_eq!(
        waits(reader!(deferred, [], id: u64 = plain("id"), currency: String = plain("currency"))),
        "parameter `currency` is missing from the stored payload: add `#[default]`",
    );
    let resolution = reader!(
        deferred, [],
        currency: String = with_default("currency"),
        note: Option<u8> = plain("note"),
        id: u64 = plain("id")
    )
    .unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    let currency = decoder.parameter_or::<String>("currency", || "EUR".into());
    assert_eq!(currency.as_deref(), Ok("EUR"));
    assert_eq!(decoder.parameter::<Option<u8>>("note"), Ok(None));
    assert_eq!(decoder.parameter_or::<u64>("id", || 9), Ok(1));
    assert_eq!(decoder.end(), Ok(()));
}

/// The schema does not distinguish it from the option, so it is `None` too.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(Option<u8>);

#[test]
fn a_newtype_of_an_option_is_none_too() {
    let deferred = deferred!();
    let resolution = reader!(deferred, [], it: Wrapped = plain("it")).unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    assert_eq!(decoder.parameter::<Wrapped>("it"), Ok(Wrapped(None)));
}

#[test]
fn names_of_before_are_aliases() {
    let deferred = deferred!(cents: u32 = 5, other: u8 = 1);
    let resolution = reader!(
        deferred, [],
        other: u8 = plain("other"), amount: u64 = with_alias("amount", &["price", "cents"])
    )
    .unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    assert_eq!(
        (decoder.parameter::<u8>("other"), decoder.parameter::<u64>("amount")),
        (Ok(1), Ok(5))
    );
    let both = deferred!(cents: u32 = 5, price: u32 = 6);
    let ambiguous = reader!(both, [], amount: u64 = with_alias("amount", &["price", "cents"]));
    assert_eq!(waits(ambiguous), "`price` is a name of more than one: give each names of its own");
    assert!(
        waits(reader!(deferred, [], other: u8 = plain("other"), amount: u64 = plain("amount")))
            .contains("`cents` is not known here")
    );
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Transfer {
    from: u8,
    note: String,
    fee: Option<Fee>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fee {
    cents: u8,
    note: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Smaller {
    fee: Option<SmallerFee>,
    from: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SmallerFee {
    cents: u16,
}

fn transfer() -> Transfer {
    let fee = Fee { cents: 3, note: "inner".into() };
    Transfer { from: 1, note: "outer".into(), fee: Some(fee) }
}

const READ: Smaller = Smaller { fee: Some(SmallerFee { cents: 3 }), from: 1 };

#[test]
fn paths_of_fields_are_ignored_wherever_they_stand() {
    let deferred = deferred!(transfer: Transfer = transfer(), other: u8 = 2);
    let read = |resolution: &Resolution| {
        let mut decoder = Decoder::resolved(resolution, &deferred.bytes)?;
        let read = decoder.parameter::<Smaller>("transfer")?;
        assert_eq!(decoder.parameter::<u8>("other"), Ok(2));
        decoder.end().map(|()| read)
    };
    let all = reader!(
        deferred, ["transfer.note", "transfer.fee.note"],
        transfer: Smaller = plain("transfer"), other: u8 = plain("other")
    );
    assert_eq!(read(&all.unwrap()), Ok(READ));
    assert_eq!(
        waits(reader!(
            deferred, ["transfer.note", "note"],
            transfer: Smaller = plain("transfer"), other: u8 = plain("other")
        )),
        "field `transfer.fee.note` is not known here: add `#[serde(alias = \"note\")]` to what it \
         is called now, or `ignores = [\"transfer.fee.note\"]` if it may be dropped",
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Event<T> {
    Ended,
    Moved { transfer: T },
}

#[test]
fn paths_lead_through_what_has_no_name() {
    type Nested<T> = BTreeMap<u8, (u8, [Option<Vec<Event<T>>>; 1])>;
    let nested = |transfer| {
        let events = vec![Event::Ended, Event::Moved { transfer }];
        BTreeMap::from([(1, (2, [Some(events)]))])
    };
    let deferred = deferred!(all: Nested<Transfer> = nested(transfer()));
    let resolution = reader!(
        deferred, ["all.transfer.note", "all.transfer.fee.note"],
        all: Nested<Smaller> = plain("all")
    )
    .unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    let read = decoder.parameter::<Nested<Smaller>>("all").unwrap();
    let events = vec![Event::Ended, Event::Moved { transfer: READ }];
    assert_eq!(read, BTreeMap::from([(1, (2, [Some(events)]))]));
    let words = waits(reader!(deferred, [], all: Nested<Smaller> = plain("all")));
    assert!(
        words.starts_with("field `all{value}.1.0[]::Moved.transfer.note` is not known"),
        "{words}"
    );
    assert!(words.contains("`ignores = [\"all.transfer.note\"]`"), "{words}");
}

#[test]
fn a_field_that_is_known_is_read_though_it_is_ignored() {
    let deferred = deferred!(transfer: Transfer = transfer());
    let resolution =
        reader!(deferred, ["transfer.note", "transfer"], transfer: Transfer = plain("transfer"));
    let resolution = resolution.unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    assert_eq!(decoder.parameter::<Transfer>("transfer"), Ok(transfer()));
}

/// The struct that an upgrade takes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Upgraded {
    #[serde(default)]
    currency: String,
    transfer: Smaller,
    id: u64,
}

#[test]
fn all_parameters_are_fields_of_a_struct() {
    let deferred = deferred!(id: u32 = 7, transfer: Transfer = transfer());
    let schema = Tracer::schema(|tracer| {
        tracer.parameter::<String>("currency")?;
        tracer.parameter::<Smaller>("transfer")?;
        tracer.parameter::<u64>("id")
    })
    .unwrap();
    let ignores = &["transfer.note", "transfer.fee.note"];
    let reader = Reader { schema: &schema, parameters: &[], ignores };
    let resolution = Resolution::between(deferred.schema.clone(), &reader).unwrap();
    let mut decoder = Decoder::resolved(&resolution, &deferred.bytes).unwrap();
    let upgraded = Upgraded { currency: String::new(), transfer: READ, id: 7 };
    assert_eq!(decoder.fields::<Upgraded>(), Ok(upgraded));
    assert_eq!(decoder.end(), Ok(()));
    let mut longer = deferred.bytes.clone();
    longer.push(0);
    let mut decoder = Decoder::resolved(&resolution, &longer).unwrap();
    decoder.fields::<Upgraded>().unwrap();
    assert_eq!(decoder.end().unwrap_err().to_string(), "the payload has 1 bytes too many");
}

#[test]
fn all_parameters_are_the_fields_of_their_own_struct_by_position() {
    let deferred =
        deferred!(currency: String = "EUR".into(), transfer: Smaller = READ, id: u64 = 7);
    let mut decoder = Decoder::new(&deferred.bytes);
    let read = Upgraded { currency: "EUR".into(), transfer: READ, id: 7 };
    assert_eq!(decoder.fields::<Upgraded>(), Ok(read));
    assert_eq!(decoder.end(), Ok(()));
}

#[derive(Debug, Serialize, Deserialize)]
struct Grown {
    from: u8,
    to: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct Grew {
    from: u8,
}

#[test]
fn a_missing_field_belongs_to_the_pair_where_every_value_lacks_it() {
    let deferred = deferred!(
        p: (Vec<u8>, Option<Grew>, [Grew; 2]) =
            (vec![], None, [Grew { from: 1 }, Grew { from: 1 }])
    );
    let pair = reader!(deferred, [], p: (Vec<u8>, Option<Grown>, [Grown; 2]) = plain("p")).unwrap();
    assert_eq!(
        read::<(Vec<u8>, Option<Grown>, [Grown; 2])>(&pair, &deferred.bytes)
            .unwrap_err()
            .to_string(),
        "parameter `p.2[].to` is missing from the stored payload: add `#[serde(default)]`",
    );
    let words = "field `p.2[].to` is missing from the stored payload: add `#[serde(default)]`";
    assert_eq!(pair.refused().unwrap().to_string(), words);
    let error = Decoder::resolved(&pair, &deferred.bytes).unwrap_err().to_string();
    assert_eq!(error, format!("the payload cannot be read: {words}"));

    let value = || Grew { from: 1 };
    // Where some values hold it, it is a failure of those.
    #[derive(Debug, Serialize, Deserialize)]
    struct Some<T> {
        all: Vec<T>,
        one: Option<T>,
        variant: Event<T>,
        map: BTreeMap<u8, T>,
    }
    let none = || Some { all: vec![], one: None, variant: Event::Ended, map: BTreeMap::new() };
    for some in [
        Some { all: vec![value()], ..none() },
        Some { one: Option::Some(value()), ..none() },
        Some { variant: Event::Moved { transfer: value() }, ..none() },
        Some { map: BTreeMap::from([(1, value())]), ..none() },
    ] {
        let pair = resolution::<Some<Grew>, Some<Grown>>(&[]).unwrap();
        let error = read::<Some<Grown>>(&pair, &encoded(&some)).unwrap_err().to_string();
        assert!(error.contains(".to` is missing from the stored payload"), "{error}");
        assert_eq!(pair.refused(), None);
        let read = read::<Some<Grown>>(&pair, &encoded::<Some<Grew>>(&none()));
        assert!(read.is_ok(), "{read:?}");
    }
}

#[test]
fn fields_of_an_upgrade_that_are_missing_belong_to_the_pair() {
    let deferred = deferred!(id: u64 = 7);
    let schema = Tracer::schema(|tracer| {
        tracer.parameter::<Smaller>("transfer")?;
        tracer.parameter::<u64>("id")
    })
    .unwrap();
    let reader = Reader { schema: &schema, parameters: &[], ignores: &[] };
    let pair = Resolution::between(deferred.schema.clone(), &reader).unwrap();
    let mut decoder = Decoder::resolved(&pair, &deferred.bytes).unwrap();
    let error = decoder.fields::<Upgraded>().unwrap_err().to_string();
    assert!(error.starts_with("parameter `transfer` is missing"), "{error}");
    assert!(pair.refused().is_some());
}
