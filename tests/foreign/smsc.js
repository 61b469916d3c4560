'use strict';

// A message centre on npm `smpp` that does what it is told. Options are a JSON object in the first argument: `key` and
// `cert` (PEM) for TLS, `enquiries: false` leaves enquire_link unanswered, `naive: true` handles one PDU for each TCP read.
// What it sees it writes to standard output, a JSON object a line; what it is to do it reads from standard input in
// the same way, and it ends with its input. What short messages look like there: `seen` and `deliver` below.

const net = require('net');
const readline = require('readline');
const { Duplex, Transform } = require('stream');
const smpp = require('smpp');

const options = JSON.parse(process.argv[2] || '{}');
const sessions = new Map();
const unanswered = new Map();
let lastSession = 0;
let lastReference = 0;

const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');

function serve(session) {
  const id = ++lastSession;
  sessions.set(id, session);
  const keep = (pdu) => {
    unanswered.set(++lastReference, { session, pdu });
    return lastReference;
  };
  session.on('pdu', (pdu) => {
    switch (pdu.command) {
      case 'bind_transceiver':
      case 'bind_transmitter':
      case 'bind_receiver':
        return tell({
          event: 'bind',
          session: id,
          reference: keep(pdu),
          receives: pdu.command !== 'bind_transmitter',
          system_id: pdu.system_id,
          password: pdu.password,
          interface_version: pdu.interface_version,
        });
      case 'submit_sm':
        return tell({ event: 'submit_sm', session: id, reference: keep(pdu), ...seen(pdu) });
      case 'enquire_link':
        tell({ event: 'enquire_link', session: id });
        return options.enquiries === false || session.send(pdu.response());
      case 'unbind':
        tell({ event: 'unbind', session: id });
        session.send(pdu.response());
        return session.close();
    }
  });
  session.on('close', () => {
    sessions.delete(id);
    tell({ event: 'closed', session: id });
  });
  session.on('error', (error) => console.error(`session ${id}:`, error.message));
}

// The fields of a short message as npm `smpp` reads them. The user data is put together again from what it has taken apart.
function seen(pdu) {
  const { udh = [], message } = pdu.short_message;
  const header = Buffer.concat(udh);
  const lengths = udh.length > 0 ? [Buffer.from([header.length])] : [];
  return {
    service_type: pdu.service_type,
    source: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr],
    destination: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr],
    esm_class: pdu.esm_class,
    protocol_id: pdu.protocol_id,
    data_coding: pdu.data_coding,
    registered_delivery: pdu.registered_delivery,
    // It reads a relative time as a date.
    validity_s: pdu.validity_period && Math.round((pdu.validity_period - Date.now()) / 1000),
    elements: udh.map((element) => element.toString('hex')),
    user_data: Buffer.concat([...lengths, header, message]).toString('hex'),
  };
}

function deliver({ session, reference, sm }) {
  const data = Buffer.from(sm.user_data, 'hex');
  const header = sm.esm_class & 0x40 ? data[0] + 1 : 0;
  const [source_addr_ton, source_addr_npi, source_addr] = sm.source;
  const [dest_addr_ton, dest_addr_npi, destination_addr] = sm.destination;
  const pdu = {
    source_addr_ton,
    source_addr_npi,
    source_addr,
    dest_addr_ton,
    dest_addr_npi,
    destination_addr,
    esm_class: sm.esm_class,
    protocol_id: sm.protocol_id,
    data_coding: sm.data_coding,
    short_message: { udh: data.subarray(0, header), message: data.subarray(header) },
  };
  if (sm.receipted_message_id !== undefined) pdu.receipted_message_id = sm.receipted_message_id;
  if (sm.message_state !== undefined) pdu.message_state = sm.message_state;
  sessions.get(session).deliver_sm(pdu, (response) => {
    tell({ event: 'deliver_sm_resp', reference, status: response.command_status });
  });
}

function answer({ reference, status, message_id }) {
  const { session, pdu } = unanswered.get(reference);
  unanswered.delete(reference);
  const system_id = 'foreign';
  session.send(pdu.response(message_id === undefined ? { command_status: status, system_id } : { command_status: status, message_id }));
}

// Lets only the first PDU of each read through.
function firstPdus(socket) {
  const first = new Transform({
    transform(octets, _, done) {
      done(null, octets.subarray(0, octets.readUInt32BE(0)));
    },
  });
  return Duplex.from({ readable: socket.pipe(first), writable: socket });
}

const server = options.naive
  ? net.createServer((socket) => serve(new smpp.Session({ socket: firstPdus(socket) })))
  : smpp.createServer(options.key ? { key: options.key, cert: options.cert } : {}, serve);
server.listen(0, '127.0.0.1', () => tell({ event: 'listening', port: server.address().port }));

const todo = { answer, deliver_sm: deliver };
readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    todo[command.do](command);
  })
  .on('close', () => process.exit(0));
