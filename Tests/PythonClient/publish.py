#!/usr/bin/python3
"""Publish a signed manifest as it stands in a file: publish.py URL PASSWORD-FILE TO ID FILE."""

import re
import sys
from pathlib import Path

import pika

url, password, to, document, file = sys.argv[1:]
parameters = pika.URLParameters(re.sub("^(amqp://[^:@/]+)@", r"\1:@", url))
unit = parameters.credentials.username
parameters.credentials.password = Path(password).read_text().strip()
with pika.BlockingConnection(parameters) as connection:
    channel = connection.channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(
        type="congvan.document", content_type="application/pkcs7-mime", message_id=document,
        user_id=unit, delivery_mode=2, headers={"congvan-version": 1})
    channel.basic_publish(
        f"congvan.out.{unit}", f"ordinary.{to}", Path(file).read_bytes(), properties, True)
