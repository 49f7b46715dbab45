//! A graph from the readable form of a schema, which people may have edited.

use std::borrow::Cow;
use std::collections::HashMap;

use super::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};

/// Where in the text something is wrong, in bytes, and what.
pub(crate) type Wrong = (usize, &'static str);

/// Reads what [`show`](super::text::show) writes, in one line or in many.
///
/// # Errors
/// The first place that is no part of a schema.
pub(crate) fn parse(text: &str) -> Result<(Vec<Node>, Vec<Member>), Wrong> {
    let mut parser = Parser { text, at: 0, nodes: Vec::new(), marks: HashMap::new() };
    parser.expect("(", "a schema begins with `(`")?;
    let parameters = parser.members(")", 0)?;
    parser.skip_space();
    match parser.rest() {
        "" => Ok((parser.nodes, parameters)),
        _ => Err((parser.at, "nothing may follow the last `)`")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node>,
    /// The nodes that `#1`, `#2`, .. stand for.
    marks: HashMap<u32, NodeId>,
}

const NAME: &str = "a name stands here, in quotes if it is no identifier";
const TYPE: &str = "a type stands here, such as `u64`, `Option<..>`, `{field: ..}` or `enum {..}`";
const LIST: &str = "the parts of a list are separated by `,`, and its bracket is closed";

impl<'a> Parser<'a> {
    fn node(&mut self, depth: usize) -> Result<NodeId, Wrong> {
        if depth > usize::from(MAX_DEPTH) {
            return Err((self.at, "it nests deeper than 128 levels"));
        }
        let mark = if self.eat("#") { Some(self.number()?) } else { None };
        if let Some(id) = mark.and_then(|mark| self.marks.get(&mark)) {
            return Ok(*id);
        }
        // Its place is taken first: parts may refer back to it.
        let id = self.added(Node::Leaf(Leaf::Unit));
        self.marks.extend(mark.map(|mark| (mark, id)));
        let node = self.parts(depth + 1)?;
        self.nodes[id as usize] = node;
        Ok(id)
    }

    fn added(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        (self.nodes.len() - 1) as NodeId
    }

    fn parts(&mut self, depth: usize) -> Result<Node, Wrong> {
        self.skip_space();
        let from = self.at;
        if self.eat("(") {
            return self.tuple(depth);
        }
        if self.eat("[") {
            return self.array(depth);
        }
        if self.eat("{") {
            return Ok(Node::Struct(self.members("}", depth)?));
        }
        match self.word() {
            "enum" => {
                self.expect("{", "`{` follows `enum`")?;
                Ok(Node::Enum(self.list("}", |parser| parser.variant(depth))?.0))
            }
            "Option" => Ok(Node::Option(self.wrapped(depth)?)),
            "Vec" => Ok(Node::Seq(self.wrapped(depth)?)),
            "Map" => {
                self.expect("<", "`<` follows `Map`")?;
                let key = self.node(depth)?;
                self.expect(",", "the two types of a map are separated by `,`")?;
                let value = self.node(depth)?;
                self.expect(">", "a map has two types and is closed by `>`")?;
                Ok(Node::Map(key, value))
            }
            word => Leaf::of_name(word).map(Node::Leaf).ok_or((from, TYPE)),
        }
    }

    fn wrapped(&mut self, depth: usize) -> Result<NodeId, Wrong> {
        self.expect("<", "`<` stands here")?;
        let one = self.node(depth)?;
        self.expect(">", "`>` stands here")?;
        Ok(one)
    }

    fn tuple(&mut self, depth: usize) -> Result<Node, Wrong> {
        let from = self.at;
        let (ids, has_comma) = self.list(")", |parser| parser.node(depth))?;
        match ids.len() {
            0 => Ok(Node::Leaf(Leaf::Unit)),
            1 if !has_comma => Err((from, "a tuple of one element is written `(T,)`")),
            _ => Ok(Node::Tuple(ids)),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node, Wrong> {
        if self.eat("]") {
            return Ok(Node::Tuple(Vec::new()));
        }
        let one = self.node(depth)?;
        self.expect(";", "an array is written `[T; 4]`")?;
        let len = self.number()?;
        self.expect("]", "an array is closed by `]`")?;
        Ok(Node::Array(len, one))
    }

    fn members(&mut self, close: &str, depth: usize) -> Result<Vec<Member>, Wrong> {
        let member = |parser: &mut Self| {
            let names = parser.names()?;
            parser.expect(":", "`:` follows a name")?;
            Ok(Member { names, node: parser.node(depth)? })
        };
        Ok(self.list(close, member)?.0)
    }

    fn variant(&mut self, depth: usize) -> Result<Member, Wrong> {
        let names = self.names()?;
        let node = if self.eat("{") {
            let fields = self.members("}", depth + 1)?;
            self.added(Node::Struct(fields))
        } else if self.eat("(") {
            let (ids, _) = self.list(")", |parser| parser.node(depth + 1))?;
            match ids[..] {
                [] => return Err((self.at, "a variant without content has no brackets")),
                [one] => one,
                _ => self.added(Node::Tuple(ids)),
            }
        } else {
            self.added(Node::Leaf(Leaf::Unit))
        };
        Ok(Member { names, node })
    }

    /// The parts up to the closing bracket, and whether a comma follows the last.
    fn list<T>(
        &mut self,
        close: &str,
        mut part: impl FnMut(&mut Self) -> Result<T, Wrong>,
    ) -> Result<(Vec<T>, bool), Wrong> {
        let (mut parts, mut has_comma) = (Vec::new(), true);
        while !self.eat(close) {
            if !has_comma {
                return Err((self.at, LIST));
            }
            parts.push(part(self)?);
            has_comma = self.eat(",");
        }
        Ok((parts, has_comma))
    }

    fn names(&mut self) -> Result<Vec<Cow<'static, str>>, Wrong> {
        let mut names = vec![self.name()?];
        while self.eat("|") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn name(&mut self) -> Result<Cow<'static, str>, Wrong> {
        if self.eat("\"") {
            return self.quoted();
        }
        match self.word() {
            "" => Err((self.at, NAME)),
            word => Ok(word.to_owned().into()),
        }
    }

    /// The rest of a name in quotes, with the escapes of `Debug`.
    fn quoted(&mut self) -> Result<Cow<'static, str>, Wrong> {
        const OPEN: &str = "a name in quotes is not closed";
        const ESCAPE: &str = "this is no escape of a name: they are those of Rust";
        let mut name = String::new();
        loop {
            match self.char().ok_or((self.at, OPEN))? {
                '"' => return Ok(name.into()),
                '\\' => name.push(self.escape().ok_or((self.at, ESCAPE))?),
                other => name.push(other),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.char()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            'u' => {
                let (digits, rest) = self.rest().strip_prefix('{')?.split_once('}')?;
                let char = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                self.at = self.text.len() - rest.len();
                char
            }
            other @ ('"' | '\'' | '\\') => other,
            _ => return None,
        })
    }

    fn number(&mut self) -> Result<u32, Wrong> {
        let from = self.at;
        self.word().parse().map_err(|_| (from, "a number stands here"))
    }

    /// The letters, digits and underscores from here on.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let (text, from) = (self.text, self.at);
        let is_other = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        self.at = from + self.rest().find(is_other).unwrap_or(self.rest().len());
        &text[from..self.at]
    }

    fn expect(&mut self, sign: &str, otherwise: &'static str) -> Result<(), Wrong> {
        if self.eat(sign) { Ok(()) } else { Err((self.at, otherwise)) }
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.skip_space();
        let is_here = self.rest().starts_with(sign);
        self.at += if is_here { sign.len() } else { 0 };
        is_here
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn char(&mut self) -> Option<char> {
        let char = self.rest().chars().next()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}
