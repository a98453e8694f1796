// The reference of the API: Swagger UI reads the OpenAPI document that the server describes itself with.
import SwaggerUI from "swagger-ui-dist/swagger-ui-bundle.js";

export function draw(element) {
  element.dataset.drawn = "";
  SwaggerUI({
    url: element.dataset.reference,
    domNode: element,
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    supportedSubmitMethods: [], // to read, not to call: calls of this page would need the CSRF token
  });
}
