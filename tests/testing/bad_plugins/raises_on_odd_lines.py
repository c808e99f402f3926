"""`!sum 1 2 3` adds up. Bad: it assumes that numbers follow."""

from trichat import Client, Handled, Message, hookimpl


class Adder:
    @hookimpl
    def on_message(self, client: Client, message: Message) -> Handled | None:
        word, *numbers = message.text.split(" ")
        if word != "!sum":
            return None
        client.send(f"that is {sum(int(number) for number in numbers) / len(numbers):g} on average")
        return Handled()
