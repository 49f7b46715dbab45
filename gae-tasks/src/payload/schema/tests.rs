//! Schemas as bytes and as text; which of them are equal; bytes from outside.

use proptest::prelude::*;

use super::node::{Leaf, NodeId};
use super::*;

/// A graph without a type that holds itself: parts of products stand behind them.
#[derive(Debug, Clone)]
struct Graph {
    nodes: Vec<Node>,
    parameters: Vec<Member>,
}

const NAMES: [&str; 11] = [
    "a",
    "b",
    "c",
    "id",
    "a longer name, with a comma",
    "é",
    "",
    "enum",
    "a\"|\\\n\t\0",
    "}\u{301}'\u{202e}",
    "7",
];

/// What is drawn for a node: a sort, positions for its parts, and names.
type Drawn = (u8, Vec<(usize, usize, bool)>);

fn graphs() -> impl Strategy<Value = Graph> {
    let part = (any::<usize>(), 0..NAMES.len(), prop::bool::weighted(0.1));
    let node = (0..24_u8, prop::collection::vec(part.clone(), 0..4));
    let nodes = prop::collection::vec(node, 1..24);
    (nodes, prop::collection::vec(part, 0..4)).prop_map(|(nodes, parameters)| {
        let len = nodes.len();
        let parameters = members(&parameters, 0, len);
        let nodes = nodes.iter().enumerate().map(|(at, node)| drawn(node, at, len)).collect();
        Graph { nodes, parameters }
    })
}

fn drawn((sort, parts): &Drawn, at: usize, len: usize) -> Node {
    let is_last = at + 1 == len;
    let any = |part: usize| (parts.get(part).map_or(0, |part| part.0) % len) as NodeId;
    let later = |place: usize| (at + 1 + place % (len - at - 1).max(1)) as NodeId;
    match sort {
        0 | 1 => Node::Option(any(0)),
        2 | 3 => Node::Seq(any(0)),
        4 => Node::Map(any(0), any(1)),
        5 | 6 => Node::Enum(members(parts, 0, len)),
        7 | 8 if !is_last => Node::Struct(members(parts, at + 1, len)),
        9 if !is_last => Node::Tuple(parts.iter().map(|part| later(part.0)).collect()),
        9 => Node::Tuple(Vec::new()),
        10 if !is_last => Node::Array(2 + parts.len() as u32, later(at * 7)),
        sort => Node::Leaf(Leaf::of_number(sort % 17).unwrap()),
    }
}

fn members(parts: &[(usize, usize, bool)], from: usize, to: usize) -> Vec<Member> {
    let member = |(place, name, has_alias): &(usize, usize, bool)| {
        let mut member = Member::new(NAMES[*name], (from + place % (to - from)) as NodeId);
        member.names.extend(has_alias.then(|| "old".into()));
        member
    };
    parts.iter().map(member).collect()
}

fn made(graph: &Graph) -> Schema {
    Schema::new(&graph.nodes, &graph.parameters).expect("a sound graph")
}

/// Schemas of all sorts.
pub(crate) fn schemas() -> impl Strategy<Value = Schema> {
    graphs().prop_map(|graph| made(&graph))
}

/// The same graph with its nodes in another order, and each of them twice.
fn doubled(graph: &Graph, turn: usize) -> Graph {
    let len = graph.nodes.len();
    let mut place = vec![0; 2 * len];
    let mut nodes = vec![Node::Leaf(Leaf::Unit); 2 * len];
    for (old, to) in place.iter_mut().enumerate() {
        *to = (2 * len - 1 - old + turn) % (2 * len);
    }
    let mut count = turn;
    let mut to = |old: NodeId| {
        count += 1;
        place[old as usize + count % 2 * len] as NodeId
    };
    for (old, node) in graph.nodes.iter().enumerate() {
        nodes[place[old]] = node.map(&mut to);
        nodes[place[old + len]] = node.map(&mut to);
    }
    let parameter = |one: &Member| Member { names: one.names.clone(), node: to(one.node) };
    Graph { nodes, parameters: graph.parameters.iter().map(parameter).collect() }
}

/// Another node in the place of one.
fn mutated(node: &Node, by: usize) -> Option<Node> {
    let renamed = |members: &[Member]| {
        let mut members = members.to_vec();
        let at = by.checked_rem(members.len())?;
        match by % 3 {
            0 => members[at].names[0].to_mut().push('x'),
            1 => members[at].names.push("more".into()),
            _ => _ = members.remove(at),
        }
        Some(members)
    };
    Some(match node {
        Node::Leaf(leaf) => Node::Leaf(Leaf::of_number((*leaf as u8 + 1 + by as u8 % 15) % 17)?),
        Node::Option(one) => Node::Seq(*one),
        Node::Seq(one) => Node::Option(*one),
        Node::Map(key, _) => Node::Seq(*key),
        Node::Tuple(ids) => Node::Tuple(ids.iter().copied().chain(ids.first().copied()).collect())
            .clone_unless(node)?,
        Node::Array(len, one) => Node::Array(len + 1, *one),
        Node::Struct(fields) => Node::Struct(renamed(fields)?),
        Node::Enum(variants) => Node::Enum(renamed(variants)?),
    })
}

impl Node {
    fn clone_unless(self, other: &Node) -> Option<Self> {
        (self != *other).then_some(self)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_schema_is_read_back_from_its_bytes(graph in graphs()) {
        let schema = made(&graph);
        let read = Schema::from_bytes(schema.as_bytes()).unwrap();
        prop_assert_eq!(&read, &schema);
        prop_assert_eq!(read.shape(), schema.shape());
        let again = Schema::new(&schema.nodes, &schema.parameters).unwrap();
        prop_assert_eq!(&again, &schema, "what is canonical stays as it is");
    }

    #[test]
    fn a_schema_is_read_back_from_its_text(graph in graphs()) {
        let schema = made(&graph);
        let text = schema.to_string();
        prop_assert_eq!(text.parse::<Schema>(), Ok(schema), "{}", text);
    }

    #[test]
    fn a_text_from_outside_is_a_schema_or_an_error(
        graph in graphs(), edits in prop::collection::vec((any::<usize>(), 0..EDITS.len()), 1..4),
    ) {
        let mut text = made(&graph).to_string();
        for (at, edit) in edits {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            let Some(at) = at.checked_rem(places.len()) else { continue };
            let at = places[at];
            match EDITS[edit] {
                "" => _ = text.remove(at),
                part => text.insert_str(at, part),
            }
        }
        if let Ok(schema) = text.parse::<Schema>() {
            prop_assert_eq!(schema.to_string().parse::<Schema>(), Ok(schema));
        }
    }

    #[test]
    fn graphs_that_mean_the_same_are_one_schema(graph in graphs(), turn in 0..40_usize) {
        let schema = made(&graph);
        prop_assert_eq!(&made(&doubled(&graph, turn)), &schema);
        prop_assert_eq!(made(&doubled(&doubled(&graph, turn), turn / 2)).shape(), schema.shape());
    }

    #[test]
    fn a_difference_anywhere_is_another_schema(
        graph in graphs(), at in any::<usize>(), by in any::<usize>(),
    ) {
        let schema = made(&graph);
        let Some(at) = at.checked_rem(schema.nodes.len()) else { return Ok(()) };
        let Some(other) = mutated(&schema.nodes[at], by) else { return Ok(()) };
        let mut nodes = schema.nodes.clone();
        nodes[at] = other;
        let Ok(other) = Schema::new(&nodes, &schema.parameters) else { return Ok(()) };
        prop_assert_ne!(other.as_bytes(), schema.as_bytes());
        prop_assert_ne!(other.shape(), schema.shape());
        prop_assert_ne!(other.to_string(), schema.to_string());
    }

    #[test]
    fn the_order_of_members_is_a_part(graph in graphs(), by in any::<usize>()) {
        let schema = made(&graph);
        let mut parameters = schema.parameters.clone();
        let len = parameters.len();
        let Some(at) = by.checked_rem(len) else { return Ok(()) };
        let is_same = parameters[at] == parameters[(at + 1) % len];
        parameters.swap(at, (at + 1) % len);
        let swapped = Schema::new(&schema.nodes, &parameters).unwrap();
        prop_assert_eq!(swapped.shape() == schema.shape(), is_same);
    }

    #[test]
    fn bytes_from_outside_are_a_schema_or_an_error(
        graph in graphs(),
        edits in prop::collection::vec((any::<usize>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = made(&graph).as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at % (bytes.len() + 1);
            match edit {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => _ = bytes.remove(at),
                _ => bytes.truncate(at),
            }
        }
        read_hostile(&bytes);
    }

    #[test]
    fn noise_is_a_schema_or_an_error(bytes in prop::collection::vec(0..30_u8, 0..200)) {
        read_hostile(&bytes);
    }
}

const EDITS: &[&str] = &[
    "", "", "", " ", "\n", ",", ":", "|", "(", ")", "{", "}", "<", ">", "[", "]", ";", "#1", "#2 ",
    "9", "\"", "\\", "enum ", "Option", "Vec<", "u8", "é",
];

fn text_refusal(text: &str) -> (usize, &'static str) {
    let error = text.parse::<Schema>().expect_err(text);
    let place = error.at.map(|at| format!(", at byte {at}: ")).unwrap_or_default();
    assert!(error.to_string().contains(&place), "{error}");
    (error.at.unwrap_or(usize::MAX), error.reason)
}

#[test]
fn what_is_no_readable_schema_is_refused_with_place_and_reason() {
    for (text, at, reason) in [
        ("", 0, "begins with `(`"),
        ("(a: u8) b", 8, "nothing may follow"),
        ("(a u8)", 3, "`:` follows"),
        ("(a: u9)", 4, "a type stands here"),
        ("(a: )", 4, "a type stands here"),
        ("(a: u8 b: u8)", 7, "separated by `,`"),
        ("(a: u8", 6, "separated by `,`"),
        ("(: u8)", 1, "a name stands here"),
        ("(\"a: u8)", 8, "is not closed"),
        ("(\"\\x41\": u8)", 4, "no escape"),
        ("(\"\\u{d800}\": u8)", 4, "no escape"),
        ("(a: Option u8)", 11, "`<` stands here"),
        ("(a: Vec<u8, u8>)", 10, "`>` stands here"),
        ("(a: Map<u8>)", 10, "separated by `,`"),
        ("(a: [u8])", 7, "is written `[T; 4]`"),
        ("(a: [u8; x])", 8, "a number stands here"),
        ("(a: [u8; 4294967296])", 8, "a number stands here"),
        ("(a: (u8))", 5, "is written `(T,)`"),
        ("(a: enum {A()})", 13, "has no brackets"),
        ("(a: #1)", 6, "a type stands here"),
        ("(a: #1 {a: #1})", usize::MAX, "holds itself"),
    ] {
        let (found, why) = text_refusal(text);
        assert!(found == at && why.contains(reason), "{text}: at {found}: {why}");
    }
    let deep = |depth| format!("(a: {}u8{})", "Vec<".repeat(depth), ">".repeat(depth));
    assert!(deep(128).parse::<Schema>().is_ok());
    assert!(text_refusal(&deep(129)).1.contains("128 levels"));
    assert!(text_refusal(&deep(100_000)).1.contains("128 levels"));
}

#[test]
fn space_and_last_commas_mean_nothing() {
    let flat = "(a: {b: u8, c: Map<u8, (u8,)>}, d: enum {E, F(u8, [u8; 2]), G {h: ()}, I([])})";
    let broken = "\n( a :{\n  b: u8,\r\n  c: Map < u8 , (u8,) >,\n}, d: enum{E,F (u8, [u8 ; 2],),\t\
                  G{h: ( ),},I([ ])},\n) ";
    let schema: Schema = broken.parse().unwrap();
    assert_eq!(schema.to_string(), flat);
}

#[test]
fn marks_stand_for_long_types_only() {
    let text = "(a: Option<u8>, b: Option<u8>, c: #1 Vec<[u8; 2]>, d: #1, e: Vec<#1>)";
    assert_eq!(text.parse::<Schema>().unwrap().to_string(), text);
}

fn read_hostile(bytes: &[u8]) {
    let Ok(schema) = Schema::from_bytes(bytes) else { return };
    assert_eq!(schema.as_bytes(), bytes);
    assert!(schema.nodes.len() <= bytes.len());
    assert!(!schema.to_string().contains('\n'));
    let canonical = Schema::new(&schema.nodes, &schema.parameters).unwrap();
    assert_eq!(Schema::from_bytes(canonical.as_bytes()).as_ref(), Ok(&canonical));
}

fn refusal(bytes: &[u8]) -> String {
    Schema::from_bytes(bytes).map_or_else(|error| error.to_string(), |schema| schema.to_string())
}

#[test]
fn what_is_no_schema_is_refused_with_the_reason() {
    for (bytes, reason) in [
        (&[][..], "ends early"),
        (&[1, 2, b'a'], "ends early"),
        (&[200, 1, 2, b'a', 0], "ends early"),
        (&[0, 0], "bytes after its end"),
        (&[1, 2, 0xff, 0], "not UTF-8"),
        (&[1, 2, b'a', 25], "unknown sort"),
        (&[1, 2, b'a', 24, 0], "comes later"),
        (&[0x80, 0], "number with zeros"),
        (&[0xff, 0xff, 0xff, 0xff, 0x1f], "above 32 bits"),
        // `struct A { a: A }`
        (&[1, 2, b'p', 22, 1, 2, b'a', 24, 0], "holds itself"),
        (&[1, 2, b'p', 20, 2, 7, 24, 0], "holds itself"),
        (&[1, 2, b'p', 21, 0, 24, 0], "holds itself"),
    ] {
        assert!(refusal(bytes).contains(reason), "{bytes:?}: {}", refusal(bytes));
    }
    assert_eq!(refusal(&[1, 2, b'p', 22, 1, 2, b'a', 17, 24, 0]), "(p: #1 {a: Option<#1>})");
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| [vec![1, 2, b'p'], vec![17; depth], vec![0]].concat();
    assert!(Schema::from_bytes(&nested(128)).is_ok());
    assert!(refusal(&nested(129)).contains("128 levels"));
    let wide = |fields: usize| {
        let mut bytes = vec![0x80 | (fields & 0x7f) as u8, 0x80 | (fields >> 7 & 0x7f) as u8];
        bytes.push((fields >> 14) as u8);
        bytes.extend([0, 0].repeat(fields));
        bytes
    };
    assert!(Schema::from_bytes(&wide(32_766)).is_ok());
    assert!(refusal(&wide(32_767)).contains("64 KiB"));
    let options: Vec<_> = (0..200).map(|at| Node::Option(at + 1)).chain([LEAF]).collect();
    assert_eq!(Schema::new(&options, &[Member::new("p", 0)]), Err(TOO_LARGE));
}

const LEAF: Node = Node::Leaf(Leaf::U8);

/// A chain of references that is deeper than the bytes nest.
#[test]
fn a_long_chain_of_references_is_walked_without_a_stack() {
    let mut bytes = vec![0x80 | (8_000 & 0x7f) as u8, (8_000 >> 7) as u8, 0, 22, 0];
    for at in 0..7_999_u32 {
        bytes.extend([0, 22, 1, 0, 24]);
        bytes.extend(if at < 128 {
            vec![at as u8]
        } else {
            vec![0x80 | at as u8, (at >> 7) as u8]
        });
    }
    let schema = Schema::from_bytes(&bytes).unwrap();
    assert!(schema.empty.iter().all(|is_empty| *is_empty), "such a value takes no bytes");
}

#[test]
fn values_without_bytes_are_known() {
    // (a: [(); 9], b: [u8; 0], c: {}, d: Option<()>, e: (u8,))
    let bytes = [
        5, 2, b'a', 21, 9, 0, 2, b'b', 21, 0, 7, 2, b'c', 22, 0, 2, b'd', 17, 0, 2, b'e', 20, 1, 7,
    ];
    let schema = Schema::from_bytes(&bytes).unwrap();
    let empty = schema.parameters.iter().map(|member| schema.empty[member.node as usize]);
    assert_eq!(empty.collect::<Vec<_>>(), [true, true, true, false, false]);
}
