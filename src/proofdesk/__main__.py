from proofdesk.cli import main

main()
