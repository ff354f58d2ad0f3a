"""What a server says, held to docs/asyncapi.yaml."""

import json
import os

import jsonschema
import yaml

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/asyncapi.yaml")


class Schema:
    def __init__(self):
        with open(DOCUMENT) as file:
            document = yaml.safe_load(file)
        resolver = jsonschema.RefResolver("", document)
        self.validators = {}
        for message in document["components"]["messages"].values():
            payload = message["payload"]
            validator = jsonschema.Draft7Validator(payload, resolver=resolver)
            # One has no name of its own: the answer to a method that there is not.
            self.validators[payload["items"][0].get("const", "_result")] = validator
            for example in message.get("examples", []):
                validator.validate(example["payload"])
        self.checked = {}

    def problem(self, text):
        """Why a message of the server is none; nothing when it is one."""
        message = json.loads(text)
        validator = self.validators.get(message[0])
        if validator is None and message[0].endswith("_result"):
            validator = self.validators["_result"]
        if validator is None:
            return f"{message[0]} is no message of the document"
        kind = message[1]["event"]["type"] if message[0] == "event" else message[0]
        if kind not in self.validators and message[0] != "event":
            kind = "other _result"
        self.checked[kind] = self.checked.get(kind, 0) + 1
        if self.checked[kind] > 500:
            return None  # The first of each kind are enough.
        error = jsonschema.exceptions.best_match(validator.iter_errors(message))
        return error and f"{error.message} at {list(error.absolute_path)}"
