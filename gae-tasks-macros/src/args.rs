//! Parses the attribute `#[deferred(key = value, ..)]` into spanned values and records every syntax
//! error.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::token::Bracket;
use syn::{Expr, ExprLit, Lit, LitInt, LitStr, Path, Token, bracketed, parenthesized};

use crate::errors::Errors;
use crate::names;

/// The content of the parentheses of `#[deferred(..)]`.
#[derive(Default)]
pub(crate) struct Attribute {
    /// The value of `queue` or `queues`; `None` if neither key is given.
    pub(crate) queues: Option<Vec<LitStr>>,
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) ignores: Vec<LitStr>,
    pub(crate) sensitive: Vec<LitStr>,
    pub(crate) upgrades: Vec<Path>,
    pub(crate) args: ArgsName,
    pub(crate) task: Option<Ident>,
    pub(crate) deadline: Option<LitStr>,
    pub(crate) max_attempts: Option<LitInt>,
    pub(crate) min_backoff: Option<LitStr>,
    pub(crate) max_backoff: Option<LitStr>,
    pub(crate) priority: Option<LitInt>,
    /// `None` if the key is not given, or its value cannot be read.
    pub(crate) unique_by: Option<Vec<LitStr>>,
    pub(crate) cron: Option<Expr>,
    pub(crate) timezone: Option<Expr>,
    /// `None` if there are none, or they cannot be read.
    pub(crate) cron_args: Option<Vec<CronArg>>,
    pub(crate) krate: Option<Path>,
    /// The keys read so far, to find keys that are given twice or exclude each other.
    keys: Vec<Ident>,
}

/// The value of `args = Name` or `args(Name, derive(..))`.
#[derive(Default)]
pub(crate) struct ArgsName {
    pub(crate) name: Option<Ident>,
    pub(crate) derives: Vec<Path>,
}

/// A value of `cron_args(name = value, ..)`.
#[derive(Clone)]
pub(crate) struct CronArg {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

/// Each key with an example of its value.
const KEYS: [(&str, &str); 19] = [
    ("queue", "queue = \"emails\""),
    ("queues", "queues = [\"emails-1\", \"emails-2\"]"),
    ("name", "name = \"shop/send_welcome\""),
    ("alias", "alias = [\"shop.old_module/send_welcome\"]"),
    ("ignores", "ignores = [\"note\", \"transfer.note\"]"),
    ("upgrade", "upgrade = [from_v2, from_v1]"),
    ("sensitive", "sensitive = [\"card.number\"]"),
    ("args", "args = WelcomeArgs` or `args(WelcomeArgs, derive(Clone))"),
    ("task", "task = SendWelcome"),
    ("deadline", "deadline = \"30s\""),
    ("max_attempts", "max_attempts = 5"),
    ("min_backoff", "min_backoff = \"10s\""),
    ("max_backoff", "max_backoff = \"1h\""),
    ("priority", "priority = 10"),
    ("unique_by", "unique_by = [\"user_id\"]"),
    ("cron", "cron = \"0 9 * * MON-FRI\""),
    ("timezone", "timezone = \"Europe/Paris\""),
    ("cron_args", "cron_args(user_id = 7)"),
    ("crate", "crate = ::my_tasks"),
];

/// Other tools' words for a key, which [`names::nearest`] would not match with the key.
const SYNONYMS: [(&str, &str); 16] = [
    ("timeout", "deadline"),
    ("dispatch_deadline", "deadline"),
    ("retries", "max_attempts"),
    ("max_retries", "max_attempts"),
    ("attempts", "max_attempts"),
    ("backoff", "min_backoff"),
    ("retry_delay", "min_backoff"),
    ("max_retry_delay", "max_backoff"),
    ("kind", "name"),
    ("migrate", "upgrade"),
    ("secret", "sensitive"),
    ("redact", "sensitive"),
    ("unique", "unique_by"),
    ("dedupe", "unique_by"),
    ("schedule", "cron"),
    ("tz", "timezone"),
];

impl Attribute {
    /// Reads the attribute's tokens. Entries that cannot be read are recorded as errors and left
    /// out.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut attribute = Self::default();
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                attribute.entry(input, errors);
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        attribute
    }

    /// Reads one `key = value` and the comma after it.
    fn entry(&mut self, input: ParseStream<'_>, errors: &mut Errors) {
        match input.call(Ident::parse_any) {
            Ok(key) => self.keyed(&key, input, errors),
            Err(error) => {
                errors.at(
                    error.span(),
                    format!("expected a key of `#[deferred(..)]`: {}", listing()),
                );
                skip_to_comma(input);
            }
        }
        if !input.is_empty() && input.parse::<Token![,]>().is_err() {
            errors.at(input.span(), "expected a `,` between two keys");
        }
    }

    fn keyed(&mut self, key: &Ident, input: ParseStream<'_>, errors: &mut Errors) {
        let word = key.to_string();
        let Some((_, example)) = KEYS.iter().find(|(known, _)| *known == word) else {
            errors.at(key.span(), unknown(&word));
            return skip_to_comma(input);
        };
        self.check_repetition(key, errors);
        if self.value(&word, input).is_err() {
            errors
                .at(key.span(), format!("the value of `{word}` cannot be read: write `{example}`"));
            skip_to_comma(input);
        }
    }

    fn check_repetition(&mut self, key: &Ident, errors: &mut Errors) {
        let is_queue = |key: &Ident| key == "queue" || key == "queues";
        if self.keys.contains(key) {
            errors.at(key.span(), format!("`{key}` is given twice: keep one"));
        } else if is_queue(key) && self.keys.iter().any(is_queue) {
            errors.at(
                key.span(),
                "`queue` and `queues` exclude each other: keep `queue` for one queue, or `queues` \
                 to spread tasks over several",
            );
        }
        self.keys.push(key.clone());
    }

    fn value(&mut self, key: &str, input: ParseStream<'_>) -> syn::Result<()> {
        if key == "args" && input.peek(syn::token::Paren) {
            self.args = input.parse()?;
            return Ok(());
        }
        if key == "cron_args" {
            self.cron_args = Some(cron_args(input)?);
            return Ok(());
        }
        input.parse::<Token![=]>()?;
        match key {
            "queue" => self.queues = Some(vec![input.parse()?]),
            "queues" => self.queues = Some(strings(input)?),
            "name" => self.name = Some(input.parse()?),
            "alias" => self.aliases = one_or_more(input)?,
            "ignores" => self.ignores = one_or_more(input)?,
            "upgrade" => self.upgrades = paths(input)?,
            "sensitive" => self.sensitive = one_or_more(input)?,
            "args" => self.args.name = Some(input.parse()?),
            "task" => self.task = Some(input.parse()?),
            "deadline" => self.deadline = Some(input.parse()?),
            "max_attempts" => self.max_attempts = Some(input.parse()?),
            "min_backoff" => self.min_backoff = Some(input.parse()?),
            "max_backoff" => self.max_backoff = Some(input.parse()?),
            "priority" => self.priority = Some(input.parse()?),
            "unique_by" => self.unique_by = Some(one_or_more(input)?),
            "cron" => self.cron = Some(constant(input)?),
            "timezone" => self.timezone = Some(constant(input)?),
            _ => self.krate = Some(input.call(Path::parse_mod_style)?),
        }
        at_end_of_value(input)
    }

    /// Returns the keys that are given, in their order.
    pub(crate) fn keys(&self) -> &[Ident] {
        &self.keys
    }

    /// Returns the span of the key `word`, or the attribute's span if the key is not given.
    pub(crate) fn key(&self, word: &str) -> Span {
        self.keys.iter().find(|key| *key == word).map_or_else(Span::call_site, Ident::span)
    }
}

impl Parse for ArgsName {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let content;
        parenthesized!(content in input);
        let mut args = Self::default();
        while !content.is_empty() {
            let word: Ident = content.parse()?;
            if word == "derive" {
                let derives;
                parenthesized!(derives in content);
                args.derives.extend(Punctuated::<Path, Token![,]>::parse_terminated(&derives)?);
            } else if args.name.replace(word).is_some() {
                return Err(content.error("two names"));
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

impl Parse for CronArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![=]>()?;
        Ok(Self { name, value: input.parse()? })
    }
}

/// Reads values in parentheses.
fn cron_args(input: ParseStream<'_>) -> syn::Result<Vec<CronArg>> {
    let content;
    parenthesized!(content in input);
    let args = Punctuated::<CronArg, Token![,]>::parse_terminated(&content);
    // What is left over would be an error of its own.
    _ = content.parse::<TokenStream>();
    Ok(args?.into_iter().collect())
}

/// Reads a string, or the path or the call of a macro that stands for one.
fn constant(input: ParseStream<'_>) -> syn::Result<Expr> {
    let value: Expr = input.parse()?;
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. })
        | Expr::Path(_)
        | Expr::Macro(_)
        | Expr::Group(_) => Ok(value),
        _ => Err(input.error("expected a string")),
    }
}

/// Reads a string, or a list of them.
fn one_or_more(input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    if input.peek(LitStr) { Ok(vec![input.parse()?]) } else { strings(input) }
}

/// Reads a path, or a list of them.
fn paths(input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let path = Path::parse_mod_style;
    if input.peek(Bracket) { list(input, path) } else { Ok(vec![input.call(path)?]) }
}

fn strings(input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    list(input, <LitStr as Parse>::parse)
}

fn list<T>(
    input: ParseStream<'_>,
    entry: fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    let content;
    bracketed!(content in input);
    let entries = Punctuated::<T, Token![,]>::parse_terminated_with(&content, entry);
    // What is left over would be an error of its own.
    _ = content.parse::<TokenStream>();
    Ok(entries?.into_iter().collect())
}

/// Checks that a comma, the end, or the next key (if the comma is missing) follows a value: the
/// value `"a" + B` begins like a valid one.
fn at_end_of_value(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) || input.peek(Ident::peek_any) {
        Ok(())
    } else {
        Err(input.error("expected a `,`"))
    }
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        _ = input.parse::<TokenTree>();
    }
}

fn unknown(word: &str) -> String {
    let known: Vec<_> = KEYS.iter().map(|(key, _)| *key).collect();
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == word).map(|(_, key)| *key);
    match synonym.or_else(|| names::nearest(word, &known)) {
        Some("max_attempts") if word.ends_with("retries") => {
            format!(
                "unknown key `{word}`, did you mean `max_attempts`, which counts the first attempt \
                 too? {}",
                listing()
            )
        }
        Some(key) => format!("unknown key `{word}`, did you mean `{key}`? {}", listing()),
        None => format!("unknown key `{word}`: {}", listing()),
    }
}

fn listing() -> String {
    let keys: Vec<_> = KEYS.iter().map(|(key, _)| format!("`{key}`")).collect();
    format!("the keys are {}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn parse(tokens: TokenStream) -> (Attribute, Vec<String>) {
        let mut errors = Errors::default();
        let attribute = Attribute::parse(tokens, &mut errors);
        let errors = errors.finish().err().into_iter().flatten().map(|e| e.to_string()).collect();
        (attribute, errors)
    }

    #[test]
    fn every_key_is_read() {
        let (attribute, errors) = parse(quote! {
            queues = ["a", "b",], name = "n", alias = "old",
            args(Name, derive(Clone, serde::Serialize)), task = T,
            ignores = ["note", "transfer.note"], upgrade = [from_v2, older::from_v1],
            sensitive = "card.number",
            deadline = "30s", max_attempts = 3, min_backoff = "10s", max_backoff = "1h",
            cron = "0 9 * * *", timezone = zones::OFFICE, cron_args(user_id = 7, to = "a".into(),),
            priority = -10, unique_by = ["user_id", "to"], crate = ::renamed::door,
        });
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(attribute.queues.unwrap().len(), 2);
        assert_eq!(attribute.name.unwrap().value(), "n");
        assert_eq!(attribute.aliases[0].value(), "old");
        assert_eq!((attribute.ignores.len(), attribute.upgrades.len()), (2, 2));
        assert_eq!(attribute.sensitive[0].value(), "card.number");
        assert_eq!(attribute.args.name.unwrap(), "Name");
        assert_eq!(attribute.args.derives.len(), 2);
        assert_eq!(attribute.task.unwrap(), "T");
        assert_eq!(
            [attribute.min_backoff, attribute.max_backoff].map(|text| text.unwrap().value()),
            ["10s", "1h"]
        );
        assert_eq!(attribute.priority.unwrap().base10_digits(), "-10");
        assert_eq!(attribute.unique_by.unwrap()[1].value(), "to");
        assert!(matches!(attribute.cron, Some(Expr::Lit(_))));
        assert!(matches!(attribute.timezone, Some(Expr::Path(_))));
        let names: Vec<_> =
            attribute.cron_args.unwrap().iter().map(|arg| arg.name.to_string()).collect();
        assert_eq!(names, ["user_id", "to"]);
        assert!(attribute.krate.unwrap().leading_colon.is_some());
    }

    #[test]
    fn derives_need_no_name() {
        let (attribute, errors) = parse(quote!(args(derive(Clone))));
        assert!(
            errors.is_empty() && attribute.args.name.is_none() && attribute.args.derives.len() == 1
        );
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let (_, errors) =
            parse(quote!(qeue = "a", name = 5, queue, deadline = "1s" + X, queue = "b"));
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert!(errors[0].contains("did you mean `queue`"));
        assert!(errors[1].contains("write `name = "));
        assert!(errors[4].contains("twice"));
    }
}
