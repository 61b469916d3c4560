//! `/v1/cards`: the cards of the caller. A card is named by its id, or as `eid:…` or `iccid:…`.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Caller, ReadsCards, WritesCards};
use crate::api::problem::{Kind, LineError, Problem};
use crate::api::request::{CSV_OCTETS_MAX, CsvBody, JsonBody, Named, NoParameters, Parameters, Place};
use crate::api::schema;
use crate::api::server::ApiState;
use crate::api::view::{CardView, PageView, TimelineView};
use crate::card::{CardId, Owner};
use crate::gateway::import::{
    CardFile, CardFileError, Finding, ImportError, ImportReport, ImportTerms, read_cards,
};
use crate::gateway::{CardRef, PollError};
use crate::ota::Algorithm;

use super::Verdict;
use super::writes::{busy, undecided};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    let import =
        OpenApiRouter::new().routes(routes!(import_cards)).layer(DefaultBodyLimit::max(CSV_OCTETS_MAX));
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(timeline))
        .routes(routes!(poll))
        .routes(routes!(decide))
        .merge(import)
}

/// List cards
///
/// In the order in which they were imported.
#[utoipa::path(
    get,
    path = "/v1/cards",
    operation_id = "list_cards",
    tag = "cards",
    params(
        ("cursor" = Option<schema::CardId>, Query, description = "Where the page begins: the `next` of an earlier one."),
        ("limit" = Option<u32>, Query, description = "Most entries of the page [50].", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "A page of cards.", body = PageView<CardView>)),
    security(("key" = ["cards:read"])),
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller<ReadsCards>,
    mut parameters: Parameters,
) -> Result<Json<PageView<CardView>>, Problem> {
    let after: Option<CardId> = parameters.cursor()?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let page = state.gateway().cards(&caller.owner, after, limit).await?;
    Ok(Json(PageView::of(&page)))
}

/// Show a card
#[utoipa::path(
    get,
    path = "/v1/cards/{card}",
    operation_id = "get_card",
    tag = "cards",
    params(("card" = schema::CardRef, Path, description = "The card.")),
    responses(
        (status = 200, description = "The card.", body = CardView),
        (status = 404, description = "There is no such card."),
    ),
    security(("key" = ["cards:read"])),
)]
async fn show(
    State(state): State<ApiState>,
    caller: Caller<ReadsCards>,
    Named(card): Named<CardRef>,
    _: NoParameters,
) -> Result<Json<CardView>, Problem> {
    let card = state.gateway().card(&caller.owner, &card).await?;
    card.as_ref().map(|card| Json(CardView::from(card))).ok_or_else(unknown_card)
}

/// What happened to a card
///
/// The oldest entry first.
#[utoipa::path(
    get,
    path = "/v1/cards/{card}/timeline",
    operation_id = "get_card_timeline",
    tag = "cards",
    params(
        ("card" = schema::CardRef, Path, description = "The card."),
        ("cursor" = Option<schema::Place>, Query, description = "Where the page begins: the `next` of an earlier one."),
        ("limit" = Option<u32>, Query, description = "Most entries of the page [50].", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of the timeline.", body = PageView<TimelineView>),
        (status = 404, description = "There is no such card."),
    ),
    security(("key" = ["cards:read"])),
)]
async fn timeline(
    State(state): State<ApiState>,
    caller: Caller<ReadsCards>,
    Named(card): Named<CardRef>,
    mut parameters: Parameters,
) -> Result<Json<PageView<TimelineView>>, Problem> {
    let after = parameters.cursor()?.map(|Place(seq)| seq);
    let limit = parameters.limit()?;
    parameters.end()?;
    let page = state.gateway().timeline(&caller.owner, &card, after.unwrap_or(0), limit).await?;
    page.map(|page| Json(PageView::of(&page))).ok_or_else(unknown_card)
}

fn unknown_card() -> Problem {
    Problem::new(Kind::NotFound, "There is no such card.")
}

/// Ask a card what it is
///
/// A secured poll goes out; what the card answers shows in its timeline and as events.
#[utoipa::path(
    post,
    path = "/v1/cards/{card}/poll",
    operation_id = "poll_card",
    tag = "cards",
    params(("card" = schema::CardRef, Path, description = "The card.")),
    responses(
        (status = 202, description = "It will be asked.", body = CardView),
        (status = 404, description = "There is no such card."),
        (status = 409, description = "Its profile has it answer no packet: `no-answers`."),
    ),
    security(("key" = ["cards:write"])),
)]
async fn poll(
    State(state): State<ApiState>,
    caller: Caller<WritesCards>,
    Named(card): Named<CardRef>,
    _: NoParameters,
) -> Result<(StatusCode, Json<CardView>), Problem> {
    let card = state.gateway().poll_card(&caller.owner, &card).await.map_err(|error| match error {
        PollError::NotFound => unknown_card(),
        PollError::NoAnswers => Problem::new(Kind::NoAnswers, "Cards of its profile answer no packet."),
        PollError::Busy => busy(),
        PollError::Store(error) => error.into(),
    })?;
    Ok((StatusCode::ACCEPTED, Json(CardView::from(&card))))
}

/// Decide about a held binding
///
/// A binding that contradicts another one waits where the card's profile says so. Accepted, it takes effect; rejected,
/// the card is told to stop asking.
#[utoipa::path(
    post,
    path = "/v1/cards/{card}/decision",
    operation_id = "decide_card",
    tag = "cards",
    params(("card" = schema::CardRef, Path, description = "The card.")),
    request_body = Verdict,
    responses(
        (status = 200, description = "The card, as it is now.", body = CardView),
        (status = 404, description = "There is no such card."),
        (status = 409, description = "No binding of it waits: `nothing-held`."),
    ),
    security(("key" = ["cards:write"])),
)]
async fn decide(
    State(state): State<ApiState>,
    caller: Caller<WritesCards>,
    Named(card): Named<CardRef>,
    _: NoParameters,
    body: JsonBody<Verdict>,
) -> Result<Json<CardView>, Problem> {
    let decided = state.gateway().decide_binding(&caller.owner, &card, body.value.accepts()).await;
    let card = decided.map_err(|error| undecided(error, unknown_card()))?;
    Ok(Json(CardView::from(&card)))
}

/// What became of the cards of a file.
#[derive(Debug, Serialize, ToSchema)]
struct Imported {
    /// Cards that are new.
    imported: usize,
    /// Cards that were there with the same identity and keys.
    already_there: usize,
    /// Lines that contradict what is there; nothing of them was stored.
    refused: Vec<RefusedLine>,
    /// What is odd and was taken all the same, the first ones.
    warnings: Vec<LineError>,
}

/// A line that contradicts what is there.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedLine {
    /// The line of the file.
    line: u64,
    /// What is in its way.
    reason: String,
}

impl Imported {
    fn new(report: ImportReport, warnings: Vec<LineError>) -> Self {
        let ImportReport { imported, already_there, refused } = report;
        let refused = refused.into_iter().map(|line| RefusedLine { line: line.line, reason: line.reason });
        Self { imported, already_there, refused: refused.collect(), warnings }
    }
}

impl From<Finding> for LineError {
    fn from(Finding { line, column, expected }: Finding) -> Self {
        Self { line, column, expected }
    }
}

/// Import cards
///
/// A card file as `airwrite cards import` reads it: a header, then one card a line. It is checked as a whole first; where
/// anything is wrong nothing is imported, and `errors` names line and column. Importing the same file again changes
/// nothing. A file holds at most 4 MiB and cards of the caller only. Files with enciphered columns are imported by the
/// command only.
#[utoipa::path(
    post,
    path = "/v1/cards/import",
    operation_id = "import_cards",
    tag = "cards",
    params(
        ("profile" = Option<String>, Query, description = "Profile of the cards whose line names none."),
        ("algorithm" = Option<String>, Query, description = "Algorithm of the keys whose line names none: `aes`, `3des2`, `3des3` or `des`."),
        ("preset" = Option<String>, Query, description = "`yes`: cards left the factory with their IMSI and MSISDN where \
            the line does not say [no]."),
        ("ignore" = Option<String>, Query, description = "Columns that are not read, with commas between."),
    ),
    request_body(content = String, content_type = "text/csv", description = "The card file.",
        example = "EID,ICCID,IMSI,MSISDN,PRESET,PROFILE,KVN,ALG,KIC1,KID1\n\
            89034011560010000000000000000121,,001010123456789,447797704848,yes,airwrite-applet,1,aes,\
            000102030405060708090A0B0C0D0E0F,101112131415161718191A1B1C1D1E1F\n"),
    responses(
        (status = 200, description = "What became of the lines.", body = Imported),
        (status = 400, description = "The file has errors (`invalid-cards`), or the request has."),
    ),
    security(("key" = ["cards:write"])),
)]
async fn import_cards(
    State(state): State<ApiState>,
    caller: Caller<WritesCards>,
    mut parameters: Parameters,
    CsvBody(octets): CsvBody,
) -> Result<Json<Imported>, Problem> {
    let gateway = state.gateway();
    let config = gateway.config();
    let terms = ImportTerms::new(&config.profiles, &caller.owner, config.eid_checksum);
    let profile = parameters.take("profile", |name| terms.named(name))?;
    let algorithm = parameters.take("algorithm", |name| {
        name.parse::<Algorithm>().map_err(|_| "aes, 3des2, 3des3 or des".to_owned())
    })?;
    let preset = parameters.take("preset", |text| match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no".to_owned()),
    })?;
    let ignored = parameters.take("ignore", |columns| Ok(columns.split(',').map(str::to_owned).collect()))?;
    parameters.end()?;
    let ignored: Vec<String> = ignored.unwrap_or_default();
    let preset = preset.unwrap_or_default();
    let terms = ImportTerms { profile, algorithm, preset, ignored: &ignored, ..terms };
    let CardFile { rows, warnings, .. } = read_cards(octets.as_slice(), &terms).map_err(file_problem)?;
    let foreign = rows.iter().filter(|row| row.owner != caller.owner);
    let foreign: Vec<LineError> =
        foreign.take(ERRORS_SHOWN).map(|row| foreign_row(row.line, &caller.owner)).collect();
    if let Some(first) = foreign.first() {
        return Err(lines_problem(first.clone(), foreign));
    }
    let report = gateway.import_cards(rows, |_| {}).await?;
    Ok(Json(Imported::new(report, warnings.shown.into_iter().map(LineError::from).collect())))
}

/// How many errors of a file are shown.
const ERRORS_SHOWN: usize = 20;

fn foreign_row(line: u64, owner: &Owner) -> LineError {
    let expected = format!("expected {owner}, whose key this is, or nothing");
    LineError { line, column: "OWNER".to_owned(), expected }
}

fn file_problem(error: CardFileError) -> Problem {
    match error {
        CardFileError::Contents(findings) => {
            let errors: Vec<LineError> = findings.shown.into_iter().map(LineError::from).collect();
            match errors.first() {
                Some(first) => lines_problem(first.clone(), errors),
                None => Problem::internal("a card file has errors and none is shown"),
            }
        }
        // Octets in memory are read without fail, unless the CSV reader itself gives up.
        CardFileError::Io(error) => {
            Problem::new(Kind::InvalidCards, "The body is no CSV file.").because(error)
        }
    }
}

fn lines_problem(first: LineError, errors: Vec<LineError>) -> Problem {
    let LineError { line, column, expected } = first;
    let place =
        if column.is_empty() { format!("line {line}") } else { format!("line {line}, column {column}") };
    let detail = format!("{place}: {expected}. Nothing was imported.");
    Problem::new(Kind::InvalidCards, detail).at(place).expecting(expected).with_errors(errors)
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => error.into(),
            ImportError::Busy { line } => Self::new(
                Kind::Busy,
                format!("The card of line {line} is being changed; import the same file again to go on."),
            ),
            ImportError::Key { line, error } => {
                let expected = error.to_string();
                let first = LineError { line, column: String::new(), expected };
                lines_problem(first.clone(), vec![first])
            }
            error => Self::internal(error),
        }
    }
}
