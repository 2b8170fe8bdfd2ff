"""spp_primary of classic SPP: one sentence, else echoes; `exit` is not answered (spp-facts 3.2)."""

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
