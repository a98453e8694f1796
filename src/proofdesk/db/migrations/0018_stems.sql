-- Words are stemmed before they come here, by the same Snowball algorithms.
DROP TEXT SEARCH DICTIONARY stem_dutch, stem_english, stem_french, stem_german, stem_italian, stem_portuguese,
    stem_russian, stem_spanish;
