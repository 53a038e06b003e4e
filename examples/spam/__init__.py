"""SpamAssassin: wanted and unwanted e-mails as bytes; fetched, not kept here."""
