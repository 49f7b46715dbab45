//! The server can prepare every statement in the sources of the backend: none is dead or misspelt.
//!
//! A statement is a constant, made of literals, `concat!` and macros that are replaced by text.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use gae_tasks::backend::postgres::Postgres;
use gae_tasks_tests_postgres::Cluster;
use proc_macro2::{Group, TokenStream, TokenTree};

/// The beginnings of statements that a server prepares.
const VERBS: [&str; 5] = ["SELECT ", "WITH ", "INSERT ", "UPDATE ", "DELETE "];

/// A type that the driver tells, and the server cannot find out.
const UNTYPED: [&str; 2] = ["42P18", "42P08"];

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let database = Cluster::shared().await.database().await;
    drop(Postgres::open(&database.url()).await.expect("it opens"));
    let sources = Sources::read();
    let (mut statements, mut problems) = (0, Vec::new());
    for (place, value) in &sources.constants {
        let is_statement = |text: &String| VERBS.iter().any(|verb| text.starts_with(verb));
        let Some(statement) = sources.text(value).filter(is_statement) else { continue };
        statements += 1;
        if let Err(error) = database.execute(&format!("PREPARE one AS {statement}")).await {
            let code = error.as_database_error().and_then(|error| error.code());
            if !code.is_some_and(|code| UNTYPED.contains(&&*code)) {
                problems.push(format!("{place}: {error}"));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(statements > 75, "only {statements} were found");
}

type Tokens = Vec<TokenTree>;

/// A macro that is replaced by text.
struct Template {
    parameters: Vec<String>,
    body: Tokens,
}

/// What the sources of the backend define.
#[derive(Default)]
struct Sources {
    templates: HashMap<String, Template>,
    /// The constants that are texts, with their names and files.
    constants: Vec<(String, Tokens)>,
}

impl Sources {
    fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = Self::default();
        for file in files_in(&folder.join("../../gae-tasks/src/backend/postgres")) {
            let code: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
            sources.find(&file.file_name().unwrap().to_string_lossy(), code);
        }
        sources
    }

    fn find(&mut self, file: &str, code: TokenStream) {
        let tokens: Tokens = code.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let rest = &tokens[at + 1..];
            match token {
                TokenTree::Group(group) => self.find(file, group.stream()),
                TokenTree::Ident(ident) if ident == "macro_rules" => {
                    self.templates.extend(template(rest));
                }
                TokenTree::Ident(ident) if ident == "const" => {
                    self.constants.extend(constant(file, rest));
                }
                _ => {}
            }
        }
    }

    /// Returns the text of an expression, if it is one.
    fn text(&self, expression: &[TokenTree]) -> Option<String> {
        match expression {
            [TokenTree::Literal(literal)] => {
                let literal = TokenStream::from(TokenTree::from(literal.clone()));
                syn::parse2::<syn::LitStr>(literal).ok().map(|literal| literal.value())
            }
            [.., TokenTree::Ident(name), bang, TokenTree::Group(arguments)] if is(bang, '!') => {
                let arguments: Tokens = arguments.stream().into_iter().collect();
                let mut arguments = arguments.split(|token| is(token, ','));
                if name == "concat" {
                    let parts = arguments.filter(|argument| !argument.is_empty());
                    return parts.map(|argument| self.text(argument)).collect();
                }
                let Template { parameters, body } = self.templates.get(&name.to_string())?;
                let values = parameters.iter().cloned().zip(arguments.by_ref()).collect();
                self.text(&filled(body, &values))
            }
            _ => None,
        }
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.extend(folders.iter().flat_map(|folder| files_in(folder)));
    files
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// Returns the macro that `macro_rules` begins, with its first rule.
fn template(rest: &[TokenTree]) -> Option<(String, Template)> {
    let [_, TokenTree::Ident(name), TokenTree::Group(rules), ..] = rest else { return None };
    let rules: Tokens = rules.stream().into_iter().collect();
    let [TokenTree::Group(pattern), _, _, TokenTree::Group(body), ..] = &rules[..] else {
        return None;
    };
    let pattern: Tokens = pattern.stream().into_iter().collect();
    let named = pattern.windows(2).filter(|pair| is(&pair[0], '$'));
    let parameters = named.map(|pair| pair[1].to_string()).collect();
    Some((name.to_string(), Template { parameters, body: body.stream().into_iter().collect() }))
}

/// Returns the text that `const` begins, if it is one.
fn constant(file: &str, rest: &[TokenTree]) -> Option<(String, Tokens)> {
    let [name, colon, reference, of, equals, value @ ..] = rest else { return None };
    let is_text = is(colon, ':') && is(reference, '&') && of.to_string() == "str";
    let value = value.iter().take_while(|token| !is(token, ';'));
    (is_text && is(equals, '=')).then(|| (format!("`{name}` of {file}"), value.cloned().collect()))
}

/// Returns the body of a macro with the values of its parameters.
fn filled(body: &[TokenTree], values: &HashMap<String, &[TokenTree]>) -> Tokens {
    let (mut tokens, mut rest) = (Tokens::new(), body.iter().peekable());
    while let Some(token) = rest.next() {
        let name = rest.peek().filter(|_| is(token, '$'));
        if let Some(value) = name.and_then(|name| values.get(&name.to_string())) {
            tokens.extend(value.iter().cloned());
            rest.next();
        } else if let TokenTree::Group(group) = token {
            let inner: Tokens = group.stream().into_iter().collect();
            let inner = filled(&inner, values).into_iter().collect();
            tokens.push(Group::new(group.delimiter(), inner).into());
        } else {
            tokens.push(token.clone());
        }
    }
    tokens
}
