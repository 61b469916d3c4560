//! The SMSC that every client of a run talks to: one thread, blocking reads, one write for each read. It checks
//! nothing, so that the client is what a row measures.
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

const BINDS: [u32; 3] = [1, 2, 9];
const SUBMIT_SM: u32 = 4;
const UNBIND: u32 = 6;
const ENQUIRE_LINK: u32 = 0x15;
const DELIVER_SM_RESP: u32 = 0x8000_0005;
const RESPONSE: u32 = 0x8000_0000;

/// deliver_sm for the client, once it is bound.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries {
    /// A deliver_sm with any sequence number.
    pub(crate) pdu: Vec<u8>,
    /// How many may wait for their response.
    pub(crate) window: u32,
    /// How many come before the time is taken.
    pub(crate) warm_up: u32,
    /// How many the time is taken of.
    pub(crate) count: u32,
}

/// Starts an SMSC for one connection. What it has to deliver is told with the time that it took.
pub(crate) fn start(deliveries: Option<Deliveries>) -> (SocketAddr, oneshot::Receiver<Duration>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (done, took) = oneshot::channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        let smsc = Smsc { deliveries, done: Some(done), sent: 0, answered: 0, since: Instant::now() };
        smsc.serve(stream);
    });
    (address, took)
}

struct Smsc {
    deliveries: Option<Deliveries>,
    done: Option<oneshot::Sender<Duration>>,
    sent: u32,
    answered: u32,
    since: Instant,
}

impl Smsc {
    /// Until the client is gone.
    fn serve(mut self, mut stream: TcpStream) {
        let (mut input, mut filled) = (vec![0; 256 * 1024], 0);
        let mut output = Vec::with_capacity(256 * 1024);
        loop {
            let Ok(read @ 1..) = stream.read(&mut input[filled..]) else { return };
            filled += read;
            let mut taken = 0;
            while let Some(pdu) = first_pdu(&input[taken..filled]) {
                taken += pdu.len();
                self.answer(pdu, &mut output);
            }
            input.copy_within(taken..filled, 0);
            filled -= taken;
            if stream.write_all(&output).is_err() {
                return;
            }
            output.clear();
        }
    }

    fn answer(&mut self, pdu: &[u8], output: &mut Vec<u8>) {
        let (command_id, sequence) = (field(pdu, 4), field(pdu, 12));
        match command_id {
            SUBMIT_SM => put(output, command_id | RESPONSE, sequence, b"0123456789\0"),
            DELIVER_SM_RESP => self.delivered(output),
            UNBIND | ENQUIRE_LINK => put(output, command_id | RESPONSE, sequence, b""),
            _ if BINDS.contains(&command_id) => {
                put(output, command_id | RESPONSE, sequence, b"smsc\0");
                let window = self.deliveries.as_ref().map_or(0, |deliveries| deliveries.window);
                (0..window).for_each(|_| self.deliver(output));
            }
            _ => {}
        }
    }

    fn delivered(&mut self, output: &mut Vec<u8>) {
        let Some(Deliveries { warm_up, count, .. }) = self.deliveries else { return };
        self.answered += 1;
        if self.answered == warm_up {
            self.since = Instant::now();
        }
        if self.answered < warm_up + count {
            self.deliver(output);
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.since.elapsed());
        }
    }

    fn deliver(&mut self, output: &mut Vec<u8>) {
        let Some(deliveries) = &self.deliveries else { return };
        self.sent += 1;
        let start = output.len();
        output.extend_from_slice(&deliveries.pdu);
        output[start + 12..start + 16].copy_from_slice(&self.sent.to_be_bytes());
    }
}

fn first_pdu(input: &[u8]) -> Option<&[u8]> {
    let length = input.first_chunk().map(|length| u32::from_be_bytes(*length))?;
    input.get(..length as usize)
}

fn field(pdu: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(pdu[at..at + 4].try_into().expect("4 octets"))
}

fn put(output: &mut Vec<u8>, command_id: u32, sequence: u32, body: &[u8]) {
    let length = 16 + body.len() as u32;
    for field in [length, command_id, 0, sequence] {
        output.extend_from_slice(&field.to_be_bytes());
    }
    output.extend_from_slice(body);
}
