//! `/v1/cards`: what is known of a card. A card is named by its id, or as `eid:…` or `iccid:…`.

use axum::Json;
use axum::extract::State;

use crate::gateway::CardRef;

use super::auth::Caller;
use super::problem::{Kind, Problem};
use super::request::{Named, Parameters};
use super::server::ApiState;
use super::view::{CardView, PageView, TimelineView};

/// `GET /v1/cards/{ref}`.
pub(super) async fn show(
    State(state): State<ApiState>,
    Caller(owner): Caller,
    Named(card): Named<CardRef>,
) -> Result<Json<CardView>, Problem> {
    let card = state.gateway().card(&owner, &card).await?;
    card.as_ref().map(|card| Json(CardView::from(card))).ok_or_else(unknown_card)
}

/// `GET /v1/cards/{ref}/timeline?cursor=&limit=`: what happened to the card, oldest first.
pub(super) async fn timeline(
    State(state): State<ApiState>,
    Caller(owner): Caller,
    Named(card): Named<CardRef>,
    mut parameters: Parameters,
) -> Result<Json<PageView<TimelineView>>, Problem> {
    let after: Option<u64> = parameters
        .take("cursor", |text| text.parse().map_err(|_| "the `next` of an earlier page".to_owned()))?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let page = state.gateway().timeline(&owner, &card, after.unwrap_or(0), limit).await?;
    page.map(|page| Json(PageView::of(&page))).ok_or_else(unknown_card)
}

fn unknown_card() -> Problem {
    Problem::new(Kind::NotFound, "There is no such card.")
}
