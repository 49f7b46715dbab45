//! An oracle that is not ours: values of generated types are read as their edited types, and must
//! become what `serde_json` makes of them by name, or wait where a rule says so.
//!
//! `ORACLE_VALUES=1000000` makes as many values, `ORACLE_SEED=..` repeats those of a seed.

#[path = "../../generator/edit.rs"]
mod edit;
mod pair;
#[path = "../../generator/random.rs"]
mod random;
mod rules;
mod types;
mod values;

/// The types that the build script made.
#[allow(dead_code, unused_imports, clippy::all)]
mod pairs {
    use crate::pair::Pair;

    include!(concat!(env!("OUT_DIR"), "/pairs.rs"));
}

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::pair::{Outcome, Pair};
use crate::pairs::PAIRS;
use crate::random::Random;
use crate::rules::{LOOSER, STRICTER};

/// How many values are made, unless `ORACLE_VALUES` says so.
const VALUES: usize = 10_000;

fn number(variable: &str) -> Option<u64> {
    let number = std::env::var(variable).ok()?;
    Some(number.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// How an outcome counts: the rule that makes it an exception, or that it agrees.
fn judged(pair: &Pair, outcome: &Outcome) -> Result<&'static str, &'static str> {
    let looser = || LOOSER.iter().find(|one| one.covers(pair.edits, outcome)).map(|one| one.rule);
    match (&outcome.here, &outcome.json) {
        (Ok(here), Some(Ok(json))) if here == json => Ok("equal"),
        (Err(_), Some(Err(_))) => Ok("refused by both"),
        (_, None) => looser().ok_or("JSON cannot say the value"),
        (Ok(_), Some(Ok(_))) => looser().ok_or("JSON reads another value"),
        (Ok(_), Some(Err(_))) => looser().ok_or("JSON refuses the value"),
        (Err(said), Some(Ok(_))) => STRICTER
            .iter()
            .find(|one| one.covers(pair.edits, said))
            .map(|one| one.rule)
            .or_else(looser)
            .ok_or("no rule refuses the value"),
    }
}

#[test]
fn values_become_what_json_reads_by_name() {
    assert!(PAIRS.len() >= 300, "{} pairs", PAIRS.len());
    let count = number("ORACLE_VALUES").map_or(VALUES, |count| count as usize);
    let seed = number("ORACLE_SEED")
        .unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("seed {seed}: run again with ORACLE_SEED={seed}");
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for pair in PAIRS {
        let compared = pair.compared();
        // Those of a pair are the same, however many pairs stand before it.
        let mut random = Random::new(seed ^ ((pair.number as u64) << 32));
        let share = count / PAIRS.len() + usize::from(pair.number < count % PAIRS.len());
        for at in 0..share {
            let outcome = pair.outcome(&compared, &mut random);
            match judged(pair, &outcome) {
                Ok(rule) => *found.entry(rule).or_default() += 1,
                Err(what) => {
                    wrong.push(format!(
                        "seed {seed}, pair {}, value {at}, {:?}: {what}: {outcome:#?}",
                        pair.number, pair.edits
                    ));
                    break;
                }
            }
        }
    }
    println!("{} pairs, {count} values: {found:#?}", PAIRS.len());
    assert!(wrong.is_empty(), "{} pairs: {}", wrong.len(), wrong.join("\n"));
    if count >= 100_000 {
        every_rule_is_used(&found);
    }
}

/// A list of exceptions that holds more than there are would hide mistakes. Some are rare.
fn every_rule_is_used(found: &BTreeMap<&str, usize>) {
    let rules = STRICTER.iter().map(|one| one.rule).chain(LOOSER.iter().map(|one| one.rule));
    let unused: Vec<_> = rules.filter(|rule| !found.contains_key(rule)).collect();
    assert!(unused.is_empty(), "{unused:#?}");
    let (equal, all) = (found["equal"], found.values().sum::<usize>());
    assert!(equal * 3 > all, "{equal} of {all} values are equal");
}
