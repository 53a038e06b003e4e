"""JapaneseVowels: who speaks, from a series of 12 numbers a moment; fetched, not kept here."""
