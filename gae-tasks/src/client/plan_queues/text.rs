//! The text of a plan.

use std::fmt;

use super::QueuePlan;
use super::fields::Difference;
use super::planned::{Change, Planned};
use crate::queue::{QueueName, Taken};

impl fmt::Display for QueuePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl QueuePlan {
    fn lines(&self) -> Vec<String> {
        let backend = self.client.capabilities().backend;
        let (begin, end) = match self.is_empty() {
            true => ("nothing to change", ""),
            false => ("to change", ":"),
        };
        let mut lines = vec![format!("{begin} in the queues of the `{backend}` backend{end}")];
        self.compared.planned.iter().for_each(|planned| lines.extend(of_queue(planned)));
        let missing = self.compared.missing.iter();
        lines.extend(missing.map(|queue| format!("  create `{queue}`, which tasks name")));
        if self.deletes_extra {
            lines.extend(self.compared.extra.iter().map(|queue| format!("  delete `{queue}`")));
        } else if !self.compared.extra.is_empty() {
            lines.push(format!("not configured, and kept: {}", listed(&self.compared.extra)));
        }
        if !self.compared.unread.is_empty() {
            lines.push(format!(
                "not readable, and kept: {}; update gae-tasks, or store the configuration again \
                 with `put_queue` if it is damaged",
                listed(&self.compared.unread)
            ));
        }
        lines.extend(self.of_file());
        lines
    }

    /// What a file left to App Engine's defaults, and what it states in vain.
    fn of_file(&self) -> Vec<String> {
        let of_all = self.taken.iter().map(|taken| format!("  {}", shown(taken)));
        let wanted = self.compared.planned.iter().map(|planned| &planned.wanted);
        let of_each = wanted.filter(|wanted| !wanted.taken.is_empty()).map(|wanted| {
            let taken: Vec<_> = wanted.taken.iter().map(shown).collect();
            format!("  `{}`: {}", wanted.name, taken.join(", "))
        });
        let taken: Vec<_> = of_all.chain(of_each).collect();
        let vain = self.unsupported.iter().map(|note| format!("  {note}")).collect();
        let heads = ["taken from App Engine's defaults:", "stated, and without effect here:"];
        let parts = heads.into_iter().zip([taken, vain]).filter(|(_, lines)| !lines.is_empty());
        parts.flat_map(|(head, lines)| std::iter::once(head.to_owned()).chain(lines)).collect()
    }
}

/// The changes of one queue.
fn of_queue(planned: &Planned) -> Vec<String> {
    let name = &planned.wanted.name;
    let (is_new, pause) = (planned.change == Change::Create, planned.pause);
    let verb = match planned.change {
        Change::Create => "create",
        Change::Update => "update",
        Change::Keep if pause == Some(true) => "pause",
        Change::Keep if pause == Some(false) => "resume",
        Change::Keep => return Vec::new(),
    };
    let beside = match pause {
        _ if planned.change == Change::Keep => "",
        Some(true) if is_new => ", paused",
        Some(true) => ", and pause it",
        Some(false) => ", and resume it",
        None => "",
    };
    let mut lines = vec![format!("  {verb} `{name}`{beside}")];
    lines.extend(planned.fields.iter().map(|Difference { field, old, new }| match is_new {
        true => format!("    {field}: {new}"),
        false => format!("    {field}: {old} -> {new}"),
    }));
    lines
}

fn shown((key, value): &Taken) -> String {
    format!("{key}: {value}")
}

fn listed(queues: &[QueueName]) -> String {
    queues.iter().map(|queue| format!("`{queue}`")).collect::<Vec<_>>().join(", ")
}
