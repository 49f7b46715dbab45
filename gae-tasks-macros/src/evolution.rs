//! The rules for what the attribute says about parameters and older payloads: aliases, ignored and
//! sensitive paths, what a task is unique by, and upgrades.

use quote::ToTokens;
use syn::{LitStr, Path};

use crate::errors::Errors;
use crate::marks::{self, SENT};
use crate::model::{Role, Task};

/// Checks the rules that depend on the function's parameters.
pub(crate) fn check(task: &Task, errors: &mut Errors) {
    injected(task, errors);
    aliases(task, errors);
    for path in &task.settings.ignores {
        ignored(task, path, errors);
    }
    for path in &task.settings.sensitive {
        sensitive(task, path, errors);
    }
    for name in task.settings.unique_by.iter().flatten() {
        unique_by(task, name, errors);
    }
}

/// Returns the paths of a key, each checked against the syntax of paths.
pub(crate) fn paths(list: &[LitStr], errors: &mut Errors) -> Vec<LitStr> {
    let mut paths: Vec<LitStr> = Vec::new();
    for path in list {
        if paths.iter().any(|other| other.value() == path.value()) {
            errors.on(path, format!("`{:?}` is listed twice: keep one", path.value()));
        } else if let Some(message) = malformed(&path.value()) {
            errors.on(path, message);
        } else {
            paths.push(path.clone());
        }
    }
    paths
}

/// Returns the upgrade functions, and records an error for each that is listed again.
pub(crate) fn upgrades(list: &[Path], errors: &mut Errors) -> Vec<Path> {
    let text = |path: &Path| path.to_token_stream().to_string();
    for (position, path) in list.iter().enumerate() {
        if list[..position].iter().any(|other| text(other) == text(path)) {
            let name = text(path).replace(' ', "");
            errors.on(path, format!("`{name}` is listed twice: keep one"));
        }
    }
    list.to_vec()
}

fn malformed(path: &str) -> Option<String> {
    let (parameter, _) = split(path);
    let is_field = |segment: &str| {
        segment.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"[]{}:".contains(c))
    };
    if path.split('.').any(str::is_empty) {
        Some(format!(
            "`{path:?}` has an empty segment: write a parameter, or a parameter and its fields \
             joined by `.`, as in `transfer.note`"
        ))
    } else if !is_name(parameter) {
        Some(format!(
            "`{parameter:?}` is not a valid name of a parameter: write the name as in the \
             function{}",
            without_raw(parameter)
        ))
    } else if !path.split('.').all(is_field) {
        Some(format!(
            "`{path:?}` is not a valid path: write names of fields joined by `.`, as in \
             `transfer.note`"
        ))
    } else {
        None
    }
}

/// Splits a path into its parameter and what follows.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('.') {
        Some((parameter, fields)) => (parameter, Some(fields)),
        None => (path, None),
    }
}

/// Whether `name` can be the name of a parameter.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|other| other.is_alphanumeric() || other == '_')
        && name != "_"
}

fn without_raw(name: &str) -> &'static str {
    if name.starts_with("r#") { ", without `r#`" } else { "" }
}

fn injected(task: &Task, errors: &mut Errors) {
    let injected = task.parameters.iter().filter(|one| !matches!(one.role, Role::Payload(_)));
    for attr in injected.flat_map(|parameter| &parameter.original.attrs) {
        if let Some(word) = marks::word(attr).filter(|word| SENT.contains(&&**word)) {
            errors.on(
                attr,
                format!(
                    "`#[{word}]` is for parameters that are sent, and this one is injected: remove \
                     `#[{word}]`"
                ),
            );
        }
    }
}

fn aliases(task: &Task, errors: &mut Errors) {
    let mut seen: Vec<(String, String)> = Vec::new();
    for (field, parameter) in task.payload() {
        let name = parameter.sent_as(field);
        for literal in &parameter.marks.aliases {
            let alias = literal.value();
            if let Some(message) = wrong_alias(task, &name, &alias, &seen) {
                errors.on(literal, message);
            }
            seen.push((alias, name.clone()));
        }
    }
}

fn wrong_alias(task: &Task, name: &str, alias: &str, seen: &[(String, String)]) -> Option<String> {
    if alias.is_empty() {
        return Some("an alias cannot be empty: write the parameter's old name".to_owned());
    }
    if !is_name(alias) {
        return Some(format!(
            "`{alias:?}` is not a valid name of a parameter: write the old name as in the \
             function{}",
            without_raw(alias)
        ));
    }
    if alias == name {
        return Some(format!("`{alias}` is the parameter's own name: remove the alias"));
    }
    if task.sent_names().any(|other| other == alias) {
        return Some(format!(
            "`{alias}` is another parameter, so its stored values belong there: remove the alias, \
             or rename that parameter"
        ));
    }
    let (_, other) = seen.iter().find(|(other, _)| other == alias)?;
    Some(format!("`{alias}` is already an alias of the parameter `{other}`: keep one"))
}

fn ignored(task: &Task, literal: &LitStr, errors: &mut Errors) {
    let path = literal.value();
    let message = match (split(&path), Known::of(task, split(&path).0)) {
        ((name, None), Known::Parameter) => format!(
            "`{name}` is a parameter, so it is not ignored: remove it from `ignores`, or remove \
             the parameter"
        ),
        ((name, None), Known::AliasOf(parameter)) => format!(
            "`{name}` is an alias of the parameter `{parameter}`, so it is not ignored: keep the \
             alias, or `ignores`"
        ),
        ((name, Some(_)), Known::Ignored) => {
            format!("all of `{name}` is ignored: remove `{path}`")
        }
        ((name, Some(_)), Known::Nowhere) => match task.nearest(name) {
            Some(near) => format!("`{name}` is not a parameter, did you mean `{near}`?"),
            None => format!("`{name}` is not a parameter: write `{name}` to ignore all of it"),
        },
        _ => return,
    };
    errors.on(literal, message);
}

fn sensitive(task: &Task, literal: &LitStr, errors: &mut Errors) {
    let path = literal.value();
    let name = split(&path).0;
    if !matches!(Known::of(task, name), Known::Nowhere) {
        return;
    }
    let message = match task.nearest(name) {
        Some(near) => format!("`{name}` is not a parameter that is sent, did you mean `{near}`?"),
        None => format!("`{name}` is not a parameter that is sent: begin the path with one"),
    };
    errors.on(literal, message);
}

fn unique_by(task: &Task, literal: &LitStr, errors: &mut Errors) {
    let name = literal.value();
    let message = match Known::of(task, &name) {
        Known::Parameter => return,
        Known::AliasOf(parameter) => {
            format!("`{name}` is an alias of the parameter `{parameter}`: write `{parameter}`")
        }
        Known::Ignored | Known::Nowhere => match task.nearest(&name) {
            Some(near) => {
                format!("`{name}` is not a parameter that is sent, did you mean `{near}`?")
            }
            None => format!("`{name}` is not a parameter that is sent: write the name of one"),
        },
    };
    errors.on(literal, message);
}

/// What a task knows about the name of a parameter.
enum Known {
    Parameter,
    AliasOf(String),
    Ignored,
    Nowhere,
}

impl Known {
    fn of(task: &Task, name: &str) -> Self {
        let has_alias = |aliases: &[LitStr]| aliases.iter().any(|alias| alias.value() == name);
        if task.sent_names().any(|other| other == name) {
            return Self::Parameter;
        }
        match task.payload().find(|(_, parameter)| has_alias(&parameter.marks.aliases)) {
            Some((field, parameter)) => Self::AliasOf(parameter.sent_as(field)),
            None if has_alias(&task.settings.ignores) => Self::Ignored,
            None => Self::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_a_syntax() {
        for good in ["note", "transfer.note", "_a.b.c", "type", "größe.card-number", "pair.0.@id"]
        {
            assert_eq!(malformed(good), None, "{good}");
        }
        for bad in
            ["", ".", "a.", ".a", "a..b", "1a", "a b", "r#type", "_", "a.b c", "a[].b", "a::B"]
        {
            assert!(malformed(bad).is_some(), "{bad}");
        }
    }
}
