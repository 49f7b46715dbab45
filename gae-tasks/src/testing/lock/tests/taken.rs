//! Which tasks an assert takes, and the file on the disk.

use super::super::program::{Caller, Program};
use super::super::{assert_locked, store};
use super::*;
use crate::registration::{Registration, Traced};

fn registration(kind: &'static str, module: &'static str, is_test: bool) -> Registration {
    let package = if module.starts_with("other") { "other" } else { "my-shop" };
    Registration { kind, module, package, is_test, ..Registration::for_test() }
}

fn taken(caller: &Caller, registrations: &[Registration]) -> Vec<String> {
    let program = Program::of(caller, registrations.iter());
    program.tasks.keys().map(|kind| (*kind).to_owned()).collect()
}

const IN_TESTS: Caller =
    Caller { folder: "/nowhere", package: Some("my-shop"), module: "it::lock", is_outside: true };

#[test]
fn an_integration_test_takes_what_is_not_built_as_a_test() {
    let registrations = [
        registration("my_shop/a", "my_shop::tests", false),
        registration("it.lock/b", "it::lock", true),
        registration("it.lock/c", "it", true),
        registration("other/d", "other", false),
    ];
    assert_eq!(taken(&IN_TESTS, &registrations), ["my_shop/a"]);
    let all = Caller { package: None, ..IN_TESTS };
    assert_eq!(taken(&all, &registrations), ["my_shop/a", "other/d"]);
    let crates = Program::of(&IN_TESTS, registrations.iter()).crates.unwrap();
    assert_eq!(crates.into_iter().collect::<Vec<_>>(), ["it", "my_shop"]);
    assert_eq!(Program::of(&all, registrations.iter()).crates, None);
}

#[test]
fn a_unit_test_takes_what_is_in_no_module_of_tests() {
    let registrations = [
        registration("my_shop/a", "my_shop", true),
        registration("my_shop/b", "my_shop::mail", true),
        registration("my_shop/c", "my_shop::mail::tests", true),
        registration("named", "my_shop::tests::deep", true),
        registration("my_shop/e", "my_shop::test", true),
        registration("my_shop/f", "my_shop::testing", true),
    ];
    let caller = Caller { module: "my_shop::tests", is_outside: false, ..IN_TESTS };
    assert_eq!(taken(&caller, &registrations), ["my_shop/a", "my_shop/b", "my_shop/f"]);
}

#[test]
fn a_task_without_a_schema_is_told() {
    fn refused(tracer: &mut crate::payload::Tracer) -> Result<(), crate::payload::UnreadableError> {
        tracer.parameter::<std::ffi::OsString>("name")
    }
    let mut untraced = registration("my_shop/a", "my_shop", false);
    untraced.traced = Traced::new(refused);
    let registrations = [untraced];
    let program = Program::of(&IN_TESTS, registrations.iter());
    assert!(program.tasks.is_empty());
    assert!(program.unlisted[0].1.contains("parameter `name`"), "{:?}", program.unlisted);
}

#[test]
fn a_program_without_tasks_is_told_what_to_write() {
    let caller = Caller { package: Some("without-tasks"), ..IN_TESTS };
    let said = std::panic::catch_unwind(|| assert_locked(&caller, Path::new("tasks.lock")));
    let said = *said.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("this test has no task of the package"), "{said}");
}

#[test]
fn a_file_is_replaced_as_a_whole_and_nothing_stays_beside_it() {
    let folder = std::env::temp_dir().join(format!("gae-tasks-lock-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("tasks.lock");
    assert_eq!(store::read(&path).unwrap(), None);
    {
        let _turn = store::Turn::take(&folder).unwrap();
        store::write(&path, "one").unwrap();
        store::write(&path, "two").unwrap();
    }
    assert_eq!(store::read(&path).unwrap().as_deref(), Some("two"));
    assert!(store::write(&folder.join("no/tasks.lock"), "one").is_err());
    std::fs::create_dir(folder.join("taken.lock")).unwrap();
    assert!(store::write(&folder.join("taken.lock"), "one").is_err());
    let names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_library_is_known_by_its_file_or_by_the_manifest() {
    let folder = std::env::temp_dir().join(format!("gae-tasks-library-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("src")).unwrap();
    assert!(store::has_library(&folder), "there is no manifest to say the opposite");
    std::fs::write(folder.join("Cargo.toml"), "[package]\n").unwrap();
    assert!(!store::has_library(&folder));
    std::fs::write(folder.join("Cargo.toml"), "[package]\n\n[lib]\npath = \"x.rs\"\n").unwrap();
    assert!(store::has_library(&folder));
    std::fs::write(folder.join("Cargo.toml"), "[package]\n").unwrap();
    std::fs::write(folder.join("src/lib.rs"), "").unwrap();
    assert!(store::has_library(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn writes_into_one_package_take_turns() {
    let folder = std::env::temp_dir().join(format!("gae-tasks-turns-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Cargo.toml"), "").unwrap();
    let turn = store::Turn::take(&folder).unwrap();
    let manifest = std::fs::File::open(folder.join("Cargo.toml")).unwrap();
    assert!(manifest.try_lock().is_err());
    drop(turn);
    assert!(manifest.try_lock().is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
}
