//! The schedule of a task: the keys `cron`, `timezone` and `cron_args`, which are checked as far as
//! they are literals, and the code that they become.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Expr, Lit, LitStr, Pat};

use crate::args::{Attribute, CronArg};
use crate::bounds;
#[cfg(feature = "cron")]
use crate::cron_language;
use crate::errors::Errors;
use crate::model::{Parameter, Role, Schedule, Task};
use crate::names;

/// Returns the schedule of the attribute.
pub(crate) fn schedule(attribute: &Attribute, errors: &mut Errors) -> Option<Schedule> {
    let has = |word: &str| attribute.keys().iter().any(|key| key == word);
    if !has("cron") {
        let is_part = |key: &&Ident| *key == "timezone" || *key == "cron_args";
        for key in attribute.keys().iter().filter(is_part) {
            errors.on(
                key,
                format!(
                    "`{key}` belongs to a schedule: add `cron = \"0 9 * * MON-FRI\"`, or remove \
                     `{key}`"
                ),
            );
        }
    }
    let expression = attribute.cron.clone()?;
    let schedule = Schedule {
        expression,
        timezone: attribute.timezone.clone(),
        args: attribute.cron_args.clone().unwrap_or_default(),
    };
    literals(attribute, &schedule, errors);
    // Without those that cannot be read, values would be missing.
    (attribute.cron_args.is_some() || !has("cron_args")).then_some(schedule)
}

/// Checks what is a literal.
#[cfg(feature = "cron")]
fn literals(_: &Attribute, schedule: &Schedule, errors: &mut Errors) {
    if let Some(text) = literal(&schedule.expression) {
        let problems = cron_language::read(&text.value()).err().unwrap_or_default();
        problems.iter().for_each(|problem| errors.on(text, problem));
    }
    if let Some(text) = schedule.timezone.as_ref().and_then(literal)
        && let Err(problem) = cron_language::zone(&text.value())
    {
        errors.on(text, problem);
    }
}

/// Says how to have schedules at all.
#[cfg(not(feature = "cron"))]
fn literals(attribute: &Attribute, _: &Schedule, errors: &mut Errors) {
    errors.at(
        attribute.key("cron"),
        "schedules need the feature `cron` of `gae-tasks`: enable it in `Cargo.toml`",
    );
}

/// The string that an expression is, perhaps one that a macro passes on.
fn literal(expr: &Expr) -> Option<&LitStr> {
    match expr {
        Expr::Group(group) => literal(&group.expr),
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Checks that each parameter has a value, and each value a parameter.
pub(crate) fn check(task: &Task, errors: &mut Errors) {
    let Some(schedule) = &task.settings.cron else { return };
    let mut meant = Vec::new();
    for (number, arg) in schedule.args.iter().enumerate() {
        let name = names::plain(&arg.name);
        if schedule.args[..number].iter().any(|other| names::plain(&other.name) == name) {
            errors.on(&arg.name, format!("`{name}` is given twice: keep one"));
        } else if parameter(task, &name).is_none() {
            let near = task.nearest(&name);
            errors.on(&arg.name, no_parameter(task, &name, near.as_deref()));
            meant.extend(near);
        }
    }
    for (field, parameter) in task.payload() {
        let name = parameter.sent_as(field);
        if !has_value(schedule, parameter, &name) && !meant.contains(&name) {
            errors.on(&parameter.original.pat, no_value(parameter, &name));
        }
    }
}

/// Returns the parameter that is sent under this name.
fn parameter<'a>(task: &'a Task, name: &str) -> Option<&'a Parameter> {
    let sent = task.payload().find(|(field, parameter)| parameter.sent_as(field) == name);
    sent.map(|(_, parameter)| parameter)
}

fn no_parameter(task: &Task, name: &str, near: Option<&str>) -> String {
    let is_injected = task.parameters.iter().any(|parameter| {
        let is_it = matches!(&*parameter.original.pat, Pat::Ident(pat) if pat.ident == name);
        is_it && !matches!(parameter.role, Role::Payload(_))
    });
    match near {
        _ if is_injected => format!("`{name}` is injected, not sent: remove it"),
        Some(near) => format!("`{name}` is not a parameter that is sent, did you mean `{near}`?"),
        None => format!("`{name}` is not a parameter that is sent: remove it"),
    }
}

fn no_value(parameter: &Parameter, name: &str) -> String {
    match parameter.receiver {
        Some(_) => {
            "the schedule has no value for `self`: add `cron_args(self = ..)`, or put `cron` \
                    on an associated function"
                .to_owned()
        }
        None => format!(
            "the schedule has no value for `{name}`: add `cron_args({name} = ..)`, or mark the \
             parameter `#[default]`"
        ),
    }
}

fn has_value(schedule: &Schedule, parameter: &Parameter, name: &str) -> bool {
    given(schedule, name).is_some() || parameter.marks.default.is_some() || is_option(parameter)
}

/// Returns the value that the attribute gives a parameter.
fn given<'a>(schedule: &'a Schedule, name: &str) -> Option<&'a Expr> {
    let arg = schedule.args.iter().find(|CronArg { name: other, .. }| names::plain(other) == name);
    arg.map(|arg| &arg.value)
}

/// Whether the type is written as the standard library's `Option`.
fn is_option(parameter: &Parameter) -> bool {
    let ty = names::type_text(parameter.ty());
    let path = ty.split('<').next().unwrap_or_default();
    matches!(
        path.trim_start_matches("::"),
        "Option" | "std::option::Option" | "core::option::Option"
    )
}

/// Generates what the registration says about the schedule.
pub(crate) fn declaration(task: &Task) -> Option<TokenStream> {
    let schedule = task.settings.cron.as_ref()?;
    let (door, args) = (&task.door, &task.args);
    let expression = task.resolved(schedule.expression.to_token_stream());
    let timezone = schedule.timezone.as_ref().map(|zone| task.resolved(zone.to_token_stream()));
    let timezone = timezone.unwrap_or_else(|| quote!("UTC"));
    let values = task.payload().map(|(field, parameter)| {
        let value = value(task, schedule, parameter, &parameter.sent_as(field));
        quote!(#field: #value)
    });
    Some(quote! {
        #door::CronDeclaration {
            expression: #expression,
            timezone: #timezone,
            args: || #door::encode_checked(&#args { #(#values,)* }),
        }
    })
}

/// Generates the value of a parameter, in a function in which the user's expression sees nothing
/// that is generated.
fn value(task: &Task, schedule: &Schedule, parameter: &Parameter, name: &str) -> TokenStream {
    let (door, ty) = (&task.door, parameter.ty());
    if let Some(given) = given(schedule, name) {
        let written = task.resolved(given.to_token_stream());
        // As in `defer`, whatever becomes a `String` is enough for one.
        let value = match parameter.is_string() {
            true => quote!(::core::convert::Into::<#ty>::into(#written)),
            false => written,
        };
        return quote!({ fn __value() -> #ty { #value } __value() });
    }
    match &parameter.marks.default {
        Some(default) => bounds::default_value(task, parameter, default),
        None => quote!(#door::Option::None),
    }
}

/// Describes the schedule, if it is a literal.
pub(crate) fn fact(task: &Task) -> Option<String> {
    let schedule = task.settings.cron.as_ref()?;
    let expression = literal(&schedule.expression)?.value();
    let zone = schedule.timezone.as_ref().map(|zone| literal(zone).map(LitStr::value));
    Some(match zone {
        None => format!("- Schedule: `{expression}`, in UTC"),
        Some(Some(zone)) => format!("- Schedule: `{expression}`, in the time zone `{zone}`"),
        Some(None) => format!("- Schedule: `{expression}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(attribute: TokenStream) -> (Option<Schedule>, Vec<String>) {
        let mut errors = Errors::default();
        let attribute = Attribute::parse(attribute, &mut errors);
        let schedule = schedule(&attribute, &mut errors);
        let errors = errors.finish().err().into_iter().flatten().map(|e| e.to_string()).collect();
        (schedule, errors)
    }

    #[test]
    fn parts_of_a_schedule_need_one() {
        for attribute in [quote!(timezone = "UTC"), quote!(cron_args(id = 1))] {
            let (schedule, errors) = read(attribute);
            assert!(schedule.is_none() && errors[0].contains("add `cron = "), "{errors:?}");
        }
        let (schedule, errors) = read(quote!(cron = 5, timezone = "UTC"));
        assert!(schedule.is_none() && errors.len() == 1, "{errors:?}");
    }

    #[cfg(not(feature = "cron"))]
    #[test]
    fn without_the_feature_its_name_is_said() {
        let (_, errors) = read(quote!(cron = "0 25 * * *"));
        assert!(errors.len() == 1 && errors[0].contains("feature `cron`"), "{errors:?}");
    }

    #[cfg(feature = "cron")]
    #[test]
    fn only_literals_are_checked() {
        let (schedule, errors) = read(quote!(cron = NIGHTLY, timezone = zones::OFFICE));
        assert!(schedule.is_some() && errors.is_empty(), "{errors:?}");
        let (_, errors) = read(quote!(cron = "60 25 * * *", timezone = "Nowhere"));
        assert_eq!(errors.len(), 3, "{errors:?}");
    }
}
