"""`penstock demo`: goals over real texts on a whole stack, of which one worker is killed half-way.

One role a file: `goals` reads what is asked for, `library` lays out the texts, `worker` and `witness`
are the built-in worker with a record of its steps, `ledger` is that record, `api_client` is the caller,
`receiver` the receiver of webhooks, `watch` sees where the runs stand, `play` tells it all in order,
`view` shows it, `history` prints the record, `outcome` judges.
"""
