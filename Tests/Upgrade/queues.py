#!/usr/bin/python3
"""What lies in a unit's queues, kept in a file between two brokers.

  queues.py save PORT PASSWORDS FILE UNIT...   takes the messages out of the units' queues
  queues.py load PORT PASSWORDS FILE           publishes them again, each as the unit that sent it

PASSWORDS is the folder that `congvan broker definitions --passwords` wrote. FILE has a JSON object a line.
"""

import base64
import json
import sys
from pathlib import Path

import pika


def channel(port: str, passwords: str, unit: str) -> pika.adapters.blocking_connection.BlockingChannel:
    password = (Path(passwords) / f"{unit}.password").read_text().strip()
    parameters = pika.ConnectionParameters(
        "localhost", int(port), "congvan", pika.PlainCredentials(unit, password))
    return pika.BlockingConnection(parameters).channel()


def save(port: str, passwords: str, file: str, units: list[str]) -> None:
    with open(file, "w", encoding="utf-8") as out:
        for unit in units:
            one = channel(port, passwords, unit)
            for lane in ("express", "ordinary"):
                while (got := one.basic_get(f"congvan.{lane}.{unit}"))[0]:
                    method, properties, body = got
                    names = ("type", "content_type", "message_id", "correlation_id", "user_id",
                             "delivery_mode", "headers")
                    values = {n: getattr(properties, n) for n in names}
                    values["headers"] = {
                        n: v for n, v in (values["headers"] or {}).items() if n.startswith("congvan")}
                    json.dump({
                        "exchange": method.exchange, "key": method.routing_key,
                        "properties": {n: v for n, v in values.items() if v is not None},
                        "body": base64.b64encode(body).decode()}, out)
                    out.write("\n")
                    one.basic_ack(method.delivery_tag)
            one.connection.close()


def load(port: str, passwords: str, file: str) -> None:
    senders: dict[str, pika.adapters.blocking_connection.BlockingChannel] = {}
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        message = json.loads(line)
        unit = message["properties"]["user_id"]
        if unit not in senders:
            senders[unit] = channel(port, passwords, unit)
            senders[unit].confirm_delivery()
        senders[unit].basic_publish(
            message["exchange"], message["key"], base64.b64decode(message["body"]),
            pika.BasicProperties(**message["properties"]), True)
    for one in senders.values():
        one.connection.close()


if __name__ == "__main__":
    action, port, passwords, file, *units = sys.argv[1:]
    if action == "save":
        save(port, passwords, file, units)
    else:
        load(port, passwords, file)
