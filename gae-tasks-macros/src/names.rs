//! Derives names from the user's names, and defines the syntax of names that are checked at compile
//! time.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Type;
use syn::ext::IdentExt;

/// Returns the name of a function's args struct: the function's name in camel case, and `Args`.
pub(crate) fn args_of(function: &Ident) -> Ident {
    type_named(&camel(function), "Args", function.span())
}

/// Returns the names of a method's task type and args struct: `InvoiceSend` and `InvoiceSendArgs`.
pub(crate) fn of_method(owner: &Ident, method: &Ident) -> (Ident, Ident) {
    let (name, span) = (camel(owner) + &camel(method), method.span());
    (type_named(&name, "", span), type_named(&name, "Args", span))
}

/// Returns the name of the function that defers a method: `defer_send`.
pub(crate) fn call_of(method: &Ident) -> Ident {
    Ident::new(&format!("defer_{}", plain(method)), method.span())
}

fn camel(ident: &Ident) -> String {
    let mut name = String::new();
    for word in plain(ident).split('_') {
        let mut chars = word.chars();
        name.extend(chars.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(chars.as_str());
    }
    name
}

/// Returns the identifier of a type. The words of a name may begin with a digit, and there are none
/// in a name of underscores.
fn type_named(words: &str, suffix: &str, span: Span) -> Ident {
    let name = format!("{words}{suffix}");
    match name.chars().next() {
        None => Ident::new("__", span),
        Some(first) if first.is_ascii_digit() => Ident::new(&format!("_{name}"), span),
        Some(_) => Ident::new(&name, span),
    }
}

/// Returns the field name of the ignored parameter at `position` among the payload parameters.
pub(crate) fn ignored_field(position: usize) -> String {
    format!("arg{position}")
}

/// Returns an identifier without its `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// Whether a type of this name would hide a primitive type in its module.
pub(crate) fn is_primitive(name: &str) -> bool {
    const PRIMITIVES: [&str; 19] = [
        "bool", "char", "f16", "f32", "f64", "f128", "i8", "i16", "i32", "i64", "i128", "isize",
        "str", "u8", "u16", "u32", "u64", "u128", "usize",
    ];
    PRIMITIVES.contains(&name)
}

/// Whether `name` is a valid queue name: `[A-Za-z0-9-]{1,100}`.
pub(crate) fn is_queue(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether `name` is a valid kind: segments of `[A-Za-z0-9._-]`, none empty or of dots only, joined
/// by `/`.
pub(crate) fn is_kind(name: &str) -> bool {
    name.split('/').all(|segment| {
        segment.bytes().any(|b| b != b'.')
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    })
}

/// Returns a type as written, without insignificant white space.
pub(crate) fn type_text(ty: &Type) -> String {
    let mut text = String::new();
    write_tokens(ty.to_token_stream(), &mut text);
    text
}

fn write_tokens(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write_tokens(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => text.push(punct.as_char()),
            word => {
                if text.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
    }
}

/// Returns the word in `known` that `word` probably misspells.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|known| (distance(word, known), *known));
    near.min()
        .filter(|(distance, _)| *distance <= 2 && *distance < word.len())
        .map(|(_, known)| known)
}

/// Returns the number of letters to add, remove or change to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn args_are_named_in_camel_case() {
        for (function, args) in [
            ("send_welcome", "SendWelcomeArgs"),
            ("f", "FArgs"),
            ("_hidden", "HiddenArgs"),
            ("send_2fa", "Send2faArgs"),
            ("_2", "_2Args"),
            ("sendNow", "SendNowArgs"),
            ("über_uns", "ÜberUnsArgs"),
        ] {
            assert_eq!(args_of(&Ident::new(function, Span::call_site())), args);
        }
        assert_eq!(args_of(&Ident::new_raw("type", Span::call_site())), "TypeArgs");
    }

    #[test]
    fn methods_are_named_after_their_type() {
        let ident = |name| Ident::new(name, Span::call_site());
        for (owner, method, task) in [
            ("Invoice", "send", "InvoiceSend"),
            ("HTTPCall", "send_2fa", "HTTPCallSend2fa"),
            ("invoice_v2", "_retry", "InvoiceV2Retry"),
            ("_2", "send", "_2Send"),
        ] {
            let (name, args) = of_method(&ident(owner), &ident(method));
            assert_eq!(
                (name.to_string(), args.to_string()),
                (task.to_owned(), format!("{task}Args"))
            );
        }
        let (name, args) = of_method(&ident("__"), &ident("__"));
        assert_eq!((name.to_string(), args.to_string()), ("__".to_owned(), "Args".to_owned()));
        let (name, _) = of_method(&ident("Invoice"), &Ident::new_raw("move", Span::call_site()));
        assert_eq!(name, "InvoiceMove");
        assert_eq!(call_of(&Ident::new_raw("move", Span::call_site())), "defer_move");
    }

    #[test]
    fn queues_and_kinds_have_a_syntax() {
        assert!(is_queue("emails-2") && is_queue(&"q".repeat(100)));
        assert!(!is_queue("") && !is_queue("a_b") && !is_queue("ä") && !is_queue(&"q".repeat(101)));
        assert!(is_kind("shop.emails/send_welcome") && is_kind("a"));
        for bad in ["", "/", "a/", "/a", "a//b", ".", "a/../b", "a b", "ä"] {
            assert!(!is_kind(bad), "{bad}");
        }
    }

    #[test]
    fn white_space_does_not_change_a_type() {
        let spaced: Type =
            syn::parse_str("Vec < ( u8 , [ std :: string :: String ; 3 ] ) >").unwrap();
        let tight: Type = syn::parse_str("Vec<(u8,[std::string::String;3])>").unwrap();
        assert_eq!(type_text(&spaced), "Vec<(u8,[std::string::String;3])>");
        assert_eq!(type_text(&spaced), type_text(&tight));
        let words: Type = parse_quote!(Box<dyn Fn(u8) -> u8 + Send>);
        assert_eq!(type_text(&words), "Box<dyn Fn(u8)->u8+Send>");
        let lifetime: Type = parse_quote!(Cow<'static, str>);
        assert_eq!(type_text(&lifetime), "Cow<'static,str>");
    }

    #[test]
    fn misspellings_are_recognised() {
        let known = ["queue", "queues", "deadline"];
        assert_eq!(nearest("qeue", &known), Some("queue"));
        assert_eq!(nearest("dead_line", &known), Some("deadline"));
        assert_eq!(nearest("cron", &known), None);
    }
}
