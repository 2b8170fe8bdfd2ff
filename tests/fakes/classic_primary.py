"""A fake spp_primary of 16.07 to 18.05: a fixed status, echoes, no reply to `exit`.

(docs/spp-protocol.md, Classic commands)
"""

from tests.fakes.link import ECHO, SILENCE, Fake, main


class ClassicPrimary(Fake):
    kind = "primary"
    default = "17.08"

    def answer(self, words: list[str]) -> bytes:
        if words == ["status"]:
            return b"Server Idling\n"
        if words == ["exit"]:
            self.ended = True
            return SILENCE
        return ECHO


if __name__ == "__main__":
    main(ClassicPrimary)
