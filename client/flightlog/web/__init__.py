"""`flightlog web`: what was recorded, over HTTP, for the page in a browser and for programs.

- `server`: the one place that knows hypercorn; `connections`: what each connection may cost
- `app`: the endpoints as a Litestar application, errors as JSON
- `endpoint`, `params`: what an endpoint is, and the parameters that several take
- `endpoints`: one module for each noun
- `doors`: where other systems post what they tell
- `asker`: questions to query.sock without a thread
- `problem`: what goes wrong, as status code and JSON
- `static`: the page
"""
