"""What executes the job types that stand above `jobs`, by job type."""

from proofdesk.digests.sending import send_digests
from proofdesk.incidents.watching import watch
from proofdesk.jobs import catalog
from proofdesk.jobs.resources import Observer

OBSERVERS: dict[str, Observer] = {catalog.WATCH.name: watch, catalog.DIGEST.name: send_digests}
