//! Breaks a type that is longer than a line, so that a change of one field is a change of one line.

/// The longest line.
const WIDTH: usize = 100;

/// Adds `text` to `out`, where it begins after `indent` spaces: in one line if it fits, else with
/// each part of its outermost braces in a line of its own.
pub(super) fn lay_out(out: &mut String, text: &str, indent: usize) {
    let fits = indent + text.chars().count() <= WIDTH;
    let Some((open, close)) = (if fits { None } else { braces(text) }) else {
        out.push_str(text);
        return;
    };
    out.push_str(&text[..=open]);
    for part in parts(&text[open + 1..close]) {
        out.push('\n');
        out.push_str(&" ".repeat(indent + 2));
        lay_out(out, part, indent + 2);
        out.push(',');
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push('}');
    lay_out(out, &text[close + 1..], indent);
}

/// The first pair of braces that holds something.
fn braces(text: &str) -> Option<(usize, usize)> {
    let mut outside = outside_of_quotes(text);
    let open = outside.find(|(at, sign)| *sign == '{' && !text[*at..].starts_with("{}"))?.0;
    let mut depth = 1;
    let close = outside.find(|(_, sign)| {
        depth += nesting(*sign);
        depth == 0
    })?;
    Some((open, close.0))
}

/// The parts that commas separate.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, sign) in outside_of_quotes(text) {
        depth += nesting(sign);
        if sign == ',' && depth == 0 {
            parts.push(text[from..at].trim());
            from = at + 1;
        }
    }
    parts.push(text[from..].trim());
    parts
}

fn nesting(sign: char) -> i32 {
    match sign {
        '{' | '(' | '<' | '[' => 1,
        '}' | ')' | '>' | ']' => -1,
        _ => 0,
    }
}

/// The signs that are not parts of quoted names.
fn outside_of_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.char_indices().filter(move |(_, sign)| {
        let was_quoted = is_quoted;
        if *sign == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && *sign == '\\' && !is_escaped;
        !was_quoted && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str) -> String {
        let mut out = String::new();
        lay_out(&mut out, text, 4);
        out
    }

    #[test]
    fn what_fits_stays_in_its_line() {
        let text = format!("{}: {{a: u8, b: u8}}", "n".repeat(WIDTH - 20));
        assert_eq!(laid_out(&text), text);
        assert!(laid_out(&format!("n{text}")).contains('\n'));
    }

    #[test]
    fn braces_are_broken_from_the_outermost_on() {
        let name = "n".repeat(90);
        let text = format!(
            "a: Option<{{{name}: u8, \"b, }}\\\"{{\": {{}}, c: Map<u8, {{{name}: (u8, u8)}}>, d: \
             enum {{E, F(u8)}}}}>"
        );
        let broken = format!(
            "a: Option<{{\n      {name}: u8,\n      \"b, }}\\\"{{\": {{}},\n      c: Map<u8, \
             {{\n        {name}: (u8, u8),\n      }}>,\n      d: enum {{E, F(u8)}},\n    }}>"
        );
        assert_eq!(laid_out(&text), broken);
    }

    #[test]
    fn what_has_no_braces_is_not_broken() {
        let text = format!("a: ({}u8)", "u8, ".repeat(40));
        assert_eq!(laid_out(&text), text);
    }
}
