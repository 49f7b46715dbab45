//! The server: its routes and their answers.

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use gae_tasks::{Client, Kind, Task, TaskFilter};
use maud::Markup;
use serde::Deserialize;

use crate::outbox::{Outbox, send_welcome};
use crate::page;

/// How many mails that are not sent yet are shown.
const SHOWN: usize = 10;

/// What the handlers of the routes share.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    tasks: Client,
    outbox: Outbox,
}

/// The routes.
pub(crate) fn router(tasks: Client, outbox: Outbox) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/outbox", get(outbox_part))
        .route("/signup", post(sign_up))
        .with_state(Shop { tasks, outbox })
}

/// The form of a user who signs up.
#[derive(Debug, Deserialize)]
struct SignUp {
    name: String,
    email: String,
}

impl SignUp {
    /// What is wrong with the form, if anything.
    fn problem(&self) -> Option<&'static str> {
        let (name, email) = (self.name.trim(), self.email.trim());
        if name.is_empty() || name.chars().count() > 80 {
            return Some("Please enter your name, in at most 80 characters.");
        }
        let has_two_parts =
            email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
        let is_too_long = email.chars().count() > 200;
        (!has_two_parts || is_too_long).then_some("That is not an e-mail address.")
    }
}

/// Defers the mail. When the user gets the answer, the mail is stored and will be sent, whatever
/// happens to this process.
async fn sign_up(State(shop): State<Shop>, Form(form): Form<SignUp>) -> Result<Response, Failed> {
    if let Some(problem) = form.problem() {
        let page = page::page(&shop.outbox_markup().await?, Some(problem));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response());
    }
    send_welcome::defer(form.email.trim(), form.name.trim())
        .on(&shop.tasks)
        .await
        .context("cannot defer the mail")?;
    Ok(Redirect::to("/").into_response())
}

async fn home(State(shop): State<Shop>) -> Result<Html<String>, Failed> {
    Ok(Html(page::page(&shop.outbox_markup().await?, None).into_string()))
}

async fn outbox_part(State(shop): State<Shop>) -> Result<Html<String>, Failed> {
    Ok(Html(shop.outbox_markup().await?.into_string()))
}

impl Shop {
    async fn outbox_markup(&self) -> Result<Markup> {
        let stats = self.tasks.stats().await.context("cannot count the tasks")?;
        let waiting = TaskFilter::new().kind(Kind::new(send_welcome::KIND)?);
        let waiting = self.tasks.list(waiting, None, SHOWN).with_payloads().await;
        let waiting = waiting.context("cannot list the tasks")?;
        Ok(page::outbox(&stats, &waiting, &self.outbox.mails()))
    }
}

/// An internal error. The user learns only that something failed.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        tracing::error!("{:#}", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, "That did not work; please try again.").into_response()
    }
}

#[cfg(test)]
mod tests {
    use gae_tasks::Registry;
    use gae_tasks::testing::assert_deferred;

    use super::*;

    async fn shop() -> Shop {
        let outbox = Outbox::default();
        let program = Client::builder().registry(Registry::new().with::<send_welcome>());
        let tasks = program.state(outbox.clone()).open("memory:").await.unwrap();
        Shop { tasks, outbox }
    }

    fn form(name: &str, email: &str) -> Form<SignUp> {
        Form(SignUp { name: name.to_owned(), email: email.to_owned() })
    }

    async fn status(shop: &Shop, form: Form<SignUp>) -> StatusCode {
        sign_up(State(shop.clone()), form).await.map_err(|failed| failed.0).unwrap().status()
    }

    #[tokio::test]
    async fn who_signs_up_gets_a_mail() {
        let shop = shop().await;
        assert_eq!(status(&shop, form(" Ada ", "ada@example.org ")).await, StatusCode::SEE_OTHER);
        assert_deferred!(shop.tasks, send_welcome, |args| args.to == "ada@example.org"
            && args.name == "Ada");
        assert!(shop.outbox.mails().is_empty(), "the answer waits for no mail");
        let page = shop.outbox_markup().await.unwrap().into_string();
        assert!(
            page.contains("Ada") && page.contains("(sensitive)") && !page.contains("ada@"),
            "{page}"
        );
        shop.tasks.drain().await.unwrap();
        assert_eq!(shop.outbox.mails()[0].subject, "Welcome, Ada!");
    }

    #[tokio::test]
    async fn a_form_that_is_not_filled_in_defers_nothing() {
        let shop = shop().await;
        for form in [form("", "ada@example.org"), form("Ada", "ada"), form("Ada", "@")] {
            assert_eq!(status(&shop, form).await, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(shop.tasks.stats().await.unwrap().open(), 0);
    }
}
