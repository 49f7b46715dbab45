//! Orders whose mails commit with them.

use crate::started::{example, told, url};

#[test]
fn an_order_that_is_refused_has_no_mail() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(folder.path());
    let run = || example("orders").args(["--url", &url]).output().unwrap();
    let output = run();
    let told_first = told(&output);
    assert!(output.status.success(), "{told_first}");
    for line in [
        "order 2 of bob: 5 pieces",
        "no order of cleo: only 1 pieces are left",
        "3 mails wait",
        "sent: receipt of order 3 to dan",
    ] {
        assert!(told_first.lines().any(|told| told == line), "`{line}` is not in {told_first}");
    }
    assert_eq!(told_first.matches("sent: ").count(), 3, "{told_first}");
    // The stock is empty, so there are no new orders, and no receipt is sent twice.
    let again = told(&run());
    assert!(again.contains("0 mails wait"), "{again}");
    assert_eq!(again.matches("sent: ").count(), 3, "{again}");
}
