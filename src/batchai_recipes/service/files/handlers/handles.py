"""Operations on SMB handles, of which there are none: nothing here speaks SMB."""

from batchai_recipes.service.files.answer import Answer, xml_answer
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.xml_documents import handles_document


def list_handles(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """List the handles that are open on a file or directory: none.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    _exists(nouns, admitted)
    return xml_answer(handles_document())


def force_close_handles(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Close the handles that are open on a file or directory: none.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    admitted.call.header("x-ms-handle-id")
    _exists(nouns, admitted)
    counts = (
        ("x-ms-number-of-handles-closed", "0"),
        ("x-ms-number-of-handles-failed", "0"),
    )
    return Answer(200, counts)


def _exists(nouns: Nouns, admitted: AdmittedCall) -> None:
    # Clients ask both of files and of directories with one address.
    nouns.directories.check_entry(admitted.address.location)
