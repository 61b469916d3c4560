//! The mandatory fields of every PDU, in their order on the wire.

use super::words;
use crate::explain::context::Context;
use crate::explain::node::{Fields, Node, Span};
use crate::explain::user_data;
use crate::explain::words::{pid, text as as_text};
use crate::smpp::{
    COctetString, CommandId, CommandStatus, DataCoding, EsmClass, MessageState, RegisteredDelivery, Version,
    time,
};

/// What the fields of a PDU say about the message in it.
#[derive(Default)]
pub(in crate::explain) struct Message<'a> {
    /// source_addr.
    pub(in crate::explain) source: &'a [u8],
    /// destination_addr.
    pub(in crate::explain) destination: &'a [u8],
    /// esm_class.
    pub(in crate::explain) esm_class: u8,
    /// data_coding.
    pub(in crate::explain) data_coding: u8,
    /// Whether short_message has the user data, so that message_payload has none.
    pub(in crate::explain) has_short_message: bool,
}

impl Message<'_> {
    /// The user data as the nodes of what they are.
    pub(super) fn explained(&self, user_data: Span<'_>, context: &mut Context<'_>) -> Vec<Node> {
        context.begin_message(self.source, self.destination);
        user_data::of_message(user_data, EsmClass(self.esm_class), DataCoding(self.data_coding), context)
    }
}

/// Takes the mandatory fields of a PDU; `None` where one does not end within it. A response that says nothing may have none.
pub(super) fn mandatory<'a>(
    command: CommandId,
    fields: &mut Fields<'a>,
    message: &mut Message<'a>,
    context: &mut Context<'_>,
) -> Option<()> {
    if command.is_response() && fields.rest().is_empty() {
        return Some(());
    }
    match command {
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => bind(fields),
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => text(fields, "system_id", "SMPP 3.4 §5.2.1").map(drop),
        CommandId::OUTBIND => {
            text(fields, "system_id", "SMPP 3.4 §5.2.1")?;
            password(fields)
        }
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            service_type(fields)?;
            source(fields, message)?;
            destination(fields, message)?;
            options(fields, message)?;
            times(fields)?;
            registered_delivery(fields)?;
            replace_if_present(fields)?;
            data_coding(fields, message)?;
            default_message(fields)?;
            short_message(fields, message, context)
        }
        CommandId::SUBMIT_MULTI => {
            service_type(fields)?;
            source(fields, message)?;
            destinations(fields)?;
            options(fields, message)?;
            times(fields)?;
            registered_delivery(fields)?;
            replace_if_present(fields)?;
            data_coding(fields, message)?;
            default_message(fields)?;
            short_message(fields, message, context)
        }
        CommandId::SUBMIT_MULTI_RESP => {
            message_id(fields)?;
            unsuccess(fields)
        }
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP => message_id(fields),
        CommandId::DATA_SM => {
            service_type(fields)?;
            source(fields, message)?;
            destination(fields, message)?;
            esm_class(fields, message)?;
            registered_delivery(fields)?;
            data_coding(fields, message)
        }
        CommandId::QUERY_SM | CommandId::QUERY_BROADCAST_SM => {
            message_id(fields)?;
            source(fields, message)
        }
        CommandId::QUERY_SM_RESP => {
            message_id(fields)?;
            moment(fields, "final_date", "SMPP 3.4 §4.8.2")?;
            octet(fields, "message_state", "SMPP 3.4 §5.2.28", |state| {
                MessageState(state).text().to_owned()
            })?;
            octet(fields, "error_code", "SMPP 3.4 §4.8.2", |code| code.to_string()).map(drop)
        }
        CommandId::CANCEL_SM => {
            service_type(fields)?;
            message_id(fields)?;
            source(fields, message)?;
            destination(fields, message)
        }
        CommandId::REPLACE_SM => {
            message_id(fields)?;
            source(fields, message)?;
            times(fields)?;
            registered_delivery(fields)?;
            default_message(fields)?;
            short_message(fields, message, context)
        }
        CommandId::ALERT_NOTIFICATION => {
            source(fields, message)?;
            address(fields, ["esme_addr_ton", "esme_addr_npi", "esme_addr"]).map(drop)
        }
        CommandId::BROADCAST_SM => {
            service_type(fields)?;
            source(fields, message)?;
            message_id(fields)?;
            priority(fields)?;
            times(fields)?;
            replace_if_present(fields)?;
            data_coding(fields, message)?;
            default_message(fields)
        }
        CommandId::CANCEL_BROADCAST_SM => {
            service_type(fields)?;
            message_id(fields)?;
            source(fields, message)
        }
        _ => Some(()),
    }
}

fn bind(fields: &mut Fields<'_>) -> Option<()> {
    text(fields, "system_id", "SMPP 3.4 §5.2.1")?;
    password(fields)?;
    text(fields, "system_type", "SMPP 3.4 §5.2.3")?;
    octet(fields, "interface_version", "SMPP 3.4 §5.2.4", |version| words::version(Version(version)))?;
    octet(fields, "addr_ton", "SMPP 3.4 §5.2.5", |ton| words::ton(ton).to_owned())?;
    octet(fields, "addr_npi", "SMPP 3.4 §5.2.6", |npi| words::npi(npi).to_owned())?;
    text(fields, "address_range", "SMPP 3.4 §5.2.7").map(drop)
}

/// A password is never shown.
fn password(fields: &mut Fields<'_>) -> Option<()> {
    c_octet_string(fields, "password", |_, node| node.clause("SMPP 3.4 §5.2.2").hide()).map(drop)
}

fn service_type(fields: &mut Fields<'_>) -> Option<()> {
    text(fields, "service_type", "SMPP 3.4 §5.2.11").map(drop)
}

fn message_id(fields: &mut Fields<'_>) -> Option<()> {
    text(fields, "message_id", "SMPP 3.4 §5.2.23").map(drop)
}

fn source<'a>(fields: &mut Fields<'a>, message: &mut Message<'a>) -> Option<()> {
    message.source = address(fields, ["source_addr_ton", "source_addr_npi", "source_addr"])?;
    Some(())
}

fn destination<'a>(fields: &mut Fields<'a>, message: &mut Message<'a>) -> Option<()> {
    message.destination = address(fields, ["dest_addr_ton", "dest_addr_npi", "destination_addr"])?;
    Some(())
}

/// TON, NPI and the digits.
fn address<'a>(fields: &mut Fields<'a>, [ton, npi, digits]: [&'static str; 3]) -> Option<&'a [u8]> {
    octet(fields, ton, "SMPP 3.4 §5.2.5", |ton| words::ton(ton).to_owned())?;
    octet(fields, npi, "SMPP 3.4 §5.2.6", |npi| words::npi(npi).to_owned())?;
    let clause = match digits {
        "destination_addr" => "SMPP 3.4 §5.2.9",
        "esme_addr" => "SMPP 3.4 §5.2.10",
        _ => "SMPP 3.4 §5.2.8",
    };
    text(fields, digits, clause)
}

/// number_of_dests and as many addresses or lists.
fn destinations(fields: &mut Fields<'_>) -> Option<()> {
    let number = octet(fields, "number_of_dests", "SMPP 3.4 §5.2.24", |number| number.to_string())?;
    for _ in 0..number {
        let flag = octet(fields, "dest_flag", "SMPP 3.4 §5.2.25", |flag| match flag {
            1 => "SME address".to_owned(),
            2 => "distribution list".to_owned(),
            other => format!("{other}, expected 1 or 2"),
        })?;
        match flag {
            1 => drop(address(fields, ["dest_addr_ton", "dest_addr_npi", "destination_addr"])?),
            2 => drop(text(fields, "dl_name", "SMPP 3.4 §5.2.27")?),
            _ => {
                fields.fail("destinations", "dest_flag: expected 1 or 2");
                return None;
            }
        }
    }
    Some(())
}

/// no_unsuccess and as many addresses with their status.
fn unsuccess(fields: &mut Fields<'_>) -> Option<()> {
    let number = octet(fields, "no_unsuccess", "SMPP 3.4 §5.2.26", |number| number.to_string())?;
    for _ in 0..number {
        address(fields, ["dest_addr_ton", "dest_addr_npi", "destination_addr"])?;
        fields.fixed("error_status_code", |octets, node| {
            node.value(CommandStatus(u32::from_be_bytes(octets)).to_string()).clause("SMPP 3.4 §4.5.2")
        })?;
    }
    Some(())
}

fn options(fields: &mut Fields<'_>, message: &mut Message<'_>) -> Option<()> {
    esm_class(fields, message)?;
    octet(fields, "protocol_id", "SMPP 3.4 §5.2.13", pid)?;
    priority(fields)
}

fn esm_class(fields: &mut Fields<'_>, message: &mut Message<'_>) -> Option<()> {
    message.esm_class =
        octet(fields, "esm_class", "SMPP 3.4 §5.2.12", |class| words::esm_class(EsmClass(class)))?;
    Some(())
}

fn priority(fields: &mut Fields<'_>) -> Option<()> {
    octet(fields, "priority_flag", "SMPP 3.4 §5.2.14", |priority| priority.to_string()).map(drop)
}

fn times(fields: &mut Fields<'_>) -> Option<()> {
    moment(fields, "schedule_delivery_time", "SMPP 3.4 §5.2.15")?;
    moment(fields, "validity_period", "SMPP 3.4 §5.2.16")
}

fn registered_delivery(fields: &mut Fields<'_>) -> Option<()> {
    octet(fields, "registered_delivery", "SMPP 3.4 §5.2.17", |octet| {
        words::registered_delivery(RegisteredDelivery(octet))
    })
    .map(drop)
}

fn replace_if_present(fields: &mut Fields<'_>) -> Option<()> {
    octet(fields, "replace_if_present_flag", "SMPP 3.4 §5.2.18", |flag| flag.to_string()).map(drop)
}

fn data_coding(fields: &mut Fields<'_>, message: &mut Message<'_>) -> Option<()> {
    message.data_coding = octet(fields, "data_coding", "SMPP 3.4 §5.2.19", words::data_coding)?;
    Some(())
}

fn default_message(fields: &mut Fields<'_>) -> Option<()> {
    octet(fields, "sm_default_msg_id", "SMPP 3.4 §5.2.20", |id| id.to_string()).map(drop)
}

fn short_message(
    fields: &mut Fields<'_>,
    message: &mut Message<'_>,
    context: &mut Context<'_>,
) -> Option<()> {
    let length = octet(fields, "sm_length", "SMPP 3.4 §5.2.21", |length| length.to_string())?;
    if length == 0 {
        return Some(());
    }
    message.has_short_message = true;
    fields
        .take("short_message", length.into(), |span, node| {
            node.clause("SMPP 3.4 §5.2.22").children(message.explained(span, context))
        })
        .map(drop)
}

fn octet(
    fields: &mut Fields<'_>,
    name: &'static str,
    clause: &'static str,
    value: impl FnOnce(u8) -> String,
) -> Option<u8> {
    fields.fixed(name, |[octet], node| node.value(value(octet)).clause(clause)).map(|[octet]| octet)
}

/// A C-Octet String; what is returned has no NUL.
fn text<'a>(fields: &mut Fields<'a>, name: &'static str, clause: &'static str) -> Option<&'a [u8]> {
    c_octet_string(fields, name, |text, node| node.value(as_text(text)).clause(clause))
}

fn c_octet_string<'a>(
    fields: &mut Fields<'a>,
    name: &'static str,
    describe: impl FnOnce(&'a [u8], Node) -> Node,
) -> Option<&'a [u8]> {
    let rest = fields.rest().octets;
    let Some(end) = rest.iter().position(|octet| *octet == 0) else {
        let problem =
            if rest.is_empty() { "the body ends before it" } else { "no NUL up to the end of the body" };
        // It may be a password.
        fields.all(name, |_, node| node.problem(problem).hide());
        if rest.is_empty() {
            fields.fail(name, problem);
        }
        return None;
    };
    let text = rest.get(..end).unwrap_or_default();
    fields.take(name, end + 1, |_, node| describe(text, node)).map(|_| text)
}

fn moment(fields: &mut Fields<'_>, name: &'static str, clause: &'static str) -> Option<()> {
    c_octet_string(fields, name, |text, node| {
        let value = if text.is_empty() { "not given".to_owned() } else { as_text(text) };
        let node = node.value(value).clause(clause);
        let seconds = COctetString::new(text).ok().and_then(|text| time::relative_seconds(&text));
        match seconds {
            Some(seconds) => node.note(format!("{seconds} s from now")),
            None => node,
        }
    })
    .map(drop)
}
