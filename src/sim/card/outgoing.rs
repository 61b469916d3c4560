//! Short messages of the card: response packets, and messages of the applet in its dialect.

use crate::applet::Message;
use crate::ota::tp::{DCS_8_BIT_CLASS_2, PID_SIM_DATA_DOWNLOAD, Submit, TpAddress, ValidityPeriod};
use crate::ota::{Cpi, Reference, SplitOptions, split};
use crate::sim::card::applet::Sent;
use crate::sim::card::toolkit::{Proactive, Purpose};
use crate::sim::card::{Card, MoDialect};

/// TP-PID and TP-DCS of a plain message: nothing special, and 8-bit data without a class (TS 23.038 §4).
const PID_PLAIN: u8 = 0x00;
const DCS_8_BIT: u8 = 0x04;

impl Card {
    /// A response packet by SMS-SUBMIT, to where the command came from (TS 31.115 §4.4).
    pub(super) fn submit_por(&mut self, packet: &[u8], to: &TpAddress) {
        for tpdu in self.submits(packet, Cpi::Response, to) {
            self.session.por_parts += 1;
            self.session.toolkit.push(Proactive::SendShortMessage(tpdu, Purpose::Por { attempts: 0 }));
        }
    }

    /// A message of the applet to the platform.
    pub(super) fn submit_own(&mut self, message: &Message, sent: Sent) {
        let tpdus = TpAddress::new(TpAddress::UNKNOWN, &self.short_code)
            .map(|to| self.own_submits(message, &to))
            .unwrap_or_default();
        let total = tpdus.len();
        if total == 0 {
            self.applet.sent(sent, false, &self.files);
        }
        for (number, tpdu) in (1..).zip(tpdus) {
            let purpose = Purpose::Own { message: sent, last: number == total };
            self.session.toolkit.push(Proactive::SendShortMessage(tpdu, purpose));
        }
    }

    fn own_submits(&mut self, message: &Message, to: &TpAddress) -> Vec<Vec<u8>> {
        match (self.mo_dialect, message) {
            (MoDialect::Secured, _) => message
                .to_der()
                .ok()
                .and_then(|data| self.secured.seal_own(&data).ok())
                .map(|packet| self.submits(&packet, Cpi::Command, to))
                .unwrap_or_default(),
            (MoDialect::PlainDer, _) => {
                message.to_der().ok().and_then(|data| plain(data, to)).into_iter().collect()
            }
            (MoDialect::RawImei, Message::BindingRequest(request)) => {
                plain(request.imei.to_mobile_identity().to_vec(), to).into_iter().collect()
            }
            (MoDialect::RawImei | MoDialect::Silent, _) => Vec::new(),
        }
    }

    /// The SMS-SUBMITs that carry a packet. A reference number is used again only after 255 others.
    fn submits(&mut self, packet: &[u8], cpi: Cpi, to: &TpAddress) -> Vec<Vec<u8>> {
        self.last_reference = self.last_reference.wrapping_add(1);
        let options = SplitOptions::new(Reference::Bits8(self.last_reference));
        let parts = split(packet, cpi, &options).unwrap_or_default();
        parts
            .into_iter()
            .filter_map(|user_data| {
                Submit {
                    reject_duplicates: false,
                    status_report: false,
                    udhi: true,
                    message_reference: 0,
                    destination: to.clone(),
                    pid: PID_SIM_DATA_DOWNLOAD,
                    dcs: DCS_8_BIT_CLASS_2,
                    validity_period: ValidityPeriod::None,
                    user_data,
                }
                .encode()
                .ok()
            })
            .collect()
    }
}

/// One SMS-SUBMIT without UDH, as applets in the field send it; `None` where the data do not fit.
fn plain(user_data: Vec<u8>, to: &TpAddress) -> Option<Vec<u8>> {
    Submit {
        reject_duplicates: true,
        status_report: false,
        udhi: false,
        message_reference: 0,
        destination: to.clone(),
        pid: PID_PLAIN,
        dcs: DCS_8_BIT,
        validity_period: ValidityPeriod::None,
        user_data,
    }
    .encode()
    .ok()
}
