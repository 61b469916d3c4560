"""A message centre on PyPI `smpp34` that does what it is told.

What it sees it writes to standard output, a JSON object a line; what it is to do it reads from standard input in the same
way, and it ends with its input. The lines are those of smsc.js, as far as `smpp34` lets them be: it takes every bind and
answers enquire_link and unbind by itself, and shows no validity_period.
"""

import asyncio
import json
import socket
import struct
import sys

import smpp34


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def tell(**event):
    print(json.dumps(event), flush=True)


class MessageCentre:
    def __init__(self, server):
        self.server = server
        self.sessions = {}
        self.unanswered = {}
        self.tasks = set()

    async def watch(self):
        """Tells what comes."""
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.Esme):
                self.sessions[event.session_id] = event
                tell(event="bind", session=event.session_id, system_id=event.system_id, receives=event.can_receive)
            elif isinstance(event, smpp34.SubmitSmEvent):
                reference = len(self.unanswered) + 1
                self.unanswered[reference] = event
                tell(event="submit_sm", session=event.session_id, reference=reference, **seen(event))
            elif isinstance(event, smpp34.Unbound):
                self.sessions.pop(event.session_id, None)
                tell(event="closed", session=event.session_id)

    async def obey(self):
        """Does what it is told, until its input ends."""
        lines = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(lines)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while line := await lines.readline():
            command = json.loads(line)
            if command["do"] == "answer":
                self.answer(**command)
            else:
                task = asyncio.ensure_future(self.deliver(**command))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    def answer(self, reference, status, message_id="", **_):
        event = self.unanswered[reference]
        if status == smpp34.ESME_ROK:
            event.accept(message_id)
        else:
            event.reject(status)

    async def deliver(self, session, reference, sm, **_):
        tlvs = []
        if "receipted_message_id" in sm:
            value = sm["receipted_message_id"].encode() + b"\0"
            tlvs.append(smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, value))
        if "message_state" in sm:
            tlvs.append(smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, struct.pack("B", sm["message_state"])))
        source_addr_ton, source_addr_npi, source_addr = sm["source"]
        dest_addr_ton, dest_addr_npi, destination_addr = sm["destination"]
        response = await self.sessions[session].deliver_sm(
            destination_addr,
            bytes.fromhex(sm["user_data"]),
            source_addr=source_addr,
            source_addr_ton=source_addr_ton,
            source_addr_npi=source_addr_npi,
            dest_addr_ton=dest_addr_ton,
            dest_addr_npi=dest_addr_npi,
            esm_class=sm["esm_class"],
            protocol_id=sm["protocol_id"],
            data_coding=sm["data_coding"],
            tlvs=tlvs,
        )
        tell(event="deliver_sm_resp", reference=reference, status=response.command_status)


def seen(sm):
    """The fields of a short message as `smpp34` reads them."""
    return {
        "service_type": sm.service_type,
        "source": [sm.source_addr_ton, sm.source_addr_npi, sm.source_addr],
        "destination": [sm.dest_addr_ton, sm.dest_addr_npi, sm.destination_addr],
        "esm_class": sm.esm_class,
        "protocol_id": sm.protocol_id,
        "data_coding": sm.data_coding,
        "registered_delivery": sm.registered_delivery,
        "user_data": sm.short_message.hex(),
    }


async def main():
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="foreign")
    await server.start()
    tell(event="listening", port=port)
    centre = MessageCentre(server)
    watching = asyncio.ensure_future(centre.watch())
    await centre.obey()
    watching.cancel()


if __name__ == "__main__":
    asyncio.run(main())
