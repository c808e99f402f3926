"""`/ignore NAME` hides what somebody says: live, in private and in the history."""

from trichat import Client, Refuse, command


class Ignore:
    """Lets people not see the words of others."""

    @command("ignore", help="hide what somebody says; without a name, show whom you ignore", group="people")
    def ignore(self, client: Client, name: str = "") -> str | Refuse:
        """Hide it until the end of the connection, also if the person takes another name."""
        if not name:
            return "you ignore: " + ", ".join(client.ignored) if client.ignored else "you ignore nobody"
        return client.ignore(name) or f"you no longer see what {name} says; /unignore {name} ends that"

    @command("unignore", help="show again what somebody says", group="people")
    def unignore(self, client: Client, name: str) -> str | Refuse:
        """Show it again."""
        return client.unignore(name) or f"you see again what {name} says"
