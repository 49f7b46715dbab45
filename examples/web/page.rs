//! The page: a form, and the state of the mails.

use gae_tasks::{Stats, TaskRecord};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::outbox::Mail;

/// The whole page; `problem` says what is wrong with the form.
pub(crate) fn page(outbox: &Markup, problem: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Sign up" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { "Sign up" }
                    p {
                        "The answer comes at once; the welcome mail is deferred, and takes two \
                         seconds to send."
                    }
                    @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
                    form method="post" action="/signup" {
                        label {
                            "Name" input name="name" required maxlength="80" autocomplete="name";
                        }
                        label { "E-mail" input name="email" type="email" required maxlength="200"; }
                        button { "Sign up" }
                    }
                    section #outbox { (outbox) }
                }
                script { (PreEscaped(REFRESH)) }
            }
        }
    }
}

/// Keeps the outbox up to date. Without scripts, reloading the page does.
const REFRESH: &str = "setInterval(async () => {
    const answer = await fetch('/outbox').catch(() => null);
    if (answer?.ok) document.getElementById('outbox').innerHTML = await answer.text();
}, 1000);";

/// The part of the page that changes.
pub(crate) fn outbox(stats: &Stats, waiting: &[TaskRecord], mails: &[Mail]) -> Markup {
    html! {
        h2 { "Outbox" }
        ul.counts {
            li { strong { (stats.scheduled) } " waiting" }
            li { strong { (stats.leased) } " being sent" }
            li { strong { (stats.dead) } " given up" }
        }
        @if !waiting.is_empty() {
            ul.waiting {
                @for task in waiting {
                    // The args by name; the address is marked `#[sensitive]`.
                    li { code { (task.args_json().unwrap_or_else(|error| error.to_string())) } }
                }
            }
        }
        @if mails.is_empty() {
            p.empty { "No mail was sent since the start of this process." }
        } @else {
            table {
                thead { tr { th { "To" } th { "Subject" } th { "Attempt" } } }
                tbody {
                    @for mail in mails {
                        tr { td { (mail.to) } td { (mail.subject) } td { (mail.attempt) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a phone an address is wider than its column.
    #[test]
    fn a_narrow_table_breaks_addresses_and_no_header() {
        let style: Vec<_> = include_str!("style.css").lines().collect();
        let rules = |of: &str| -> String {
            style
                .iter()
                .filter_map(|line| line.split_once(" {"))
                .filter(|(to, _)| to.split(", ").any(|to| to == of))
                .map(|(_, rule)| rule)
                .collect()
        };
        assert!(rules("td").contains("overflow-wrap: anywhere"));
        assert!(rules("th").contains("white-space: nowrap") && !rules("th").contains("anywhere"));
    }

    #[test]
    fn what_a_user_types_is_text_and_no_markup() {
        let mail = Mail {
            to: "\"><img src=x>@example.org".to_owned(),
            subject: "Welcome, <script>alert(1)</script>!".to_owned(),
            attempt: 1,
        };
        let text = page(&outbox(&Stats::default(), &[], &[mail]), Some("<b>")).into_string();
        assert!(text.contains("Welcome, &lt;script&gt;alert(1)&lt;/script&gt;!"), "{text}");
        assert!(
            !text.contains("<img") && !text.contains("<b>") && !text.contains("<script>alert"),
            "{text}"
        );
    }
}
