"""Pictures that go wrong: the story that the digits and the fashion example share."""
