//! The page tokens of one list: a server that repeats a token would make the list endless.

use std::collections::HashSet;

use super::error::failed;
use crate::error::Error;

/// The tokens of the pages of one list.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    seen: HashSet<String>,
    /// The token of the next page; empty for the first page.
    next: String,
    is_over: bool,
}

impl Tokens {
    /// Returns the token of the next page to request; `None` after the last page.
    pub(super) fn next(&self) -> Option<&str> {
        (!self.is_over).then_some(self.next.as_str())
    }

    /// Stores the token that came with a page of `what`.
    ///
    /// # Errors
    /// The server has returned the token before.
    pub(super) fn advance(&mut self, token: String, what: &str) -> Result<(), Error> {
        self.is_over = token.is_empty();
        if !self.is_over && !self.seen.insert(token.clone()) {
            let problem = format!(
                "gives the same page of the list of {what} again and again: it ignores page \
                 tokens, as an emulator may"
            );
            return Err(failed(problem, "the server repeats a page token".into()));
        }
        self.next = token;
        Ok(())
    }

    /// Ends the list.
    pub(super) fn end(&mut self) {
        self.is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_and_no_token_comes_twice() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens.next(), Some(""));
        for token in ["a", "b"] {
            tokens.advance(token.to_owned(), "queues").unwrap();
            assert_eq!(tokens.next(), Some(token));
        }
        assert!(
            tokens
                .advance("a".to_owned(), "queues")
                .unwrap_err()
                .to_string()
                .contains("list of queues")
        );
        tokens.advance(String::new(), "queues").unwrap();
        assert_eq!(tokens.next(), None);
    }
}
