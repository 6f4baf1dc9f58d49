"""Azure Files REST: shares that are plain directories, served to any Azure Files client.

How a request passes is told in order by :mod:`~batchai_recipes.service.files.app`. The nouns
(`shares`, `directories`, `files`, `ranges`) know the disk and the records and nothing of HTTP; the
modules of `handlers` turn calls into their methods and what these return into answers;
`operations` is the table that says which call is which operation and what it needs.
"""
